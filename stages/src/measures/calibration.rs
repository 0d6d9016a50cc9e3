//! Calibration. Takes confidences and whether each prediction was right; gives the expected calibration error and the Brier score.

/// The number of equally wide bins of confidence from 0 to 1, as in Guo et al. 2017.
const BINS: usize = 15;

/// Returns the expected calibration error, from 0 to 1: the gap between mean confidence and the share of right predictions in each bin,
/// weighted by rows. `None` without rows. `held` says which predictions were right.
#[must_use]
pub fn expected_calibration_error(confidence: &[f64], held: &[bool]) -> Option<f64> {
    let mut bins = [(0usize, 0.0, 0.0); BINS];
    for (&confidence, &held) in confidence.iter().zip(held) {
        // A cast to an unsigned integer stops at 0, so only the upper end needs a bound.
        let bin = &mut bins[((confidence * BINS as f64) as usize).min(BINS - 1)];
        *bin = (bin.0 + 1, bin.1 + confidence, bin.2 + f64::from(u8::from(held)));
    }
    let rows = confidence.len().min(held.len());
    let filled = bins.iter().filter(|bin| bin.0 > 0);
    let gap = |&(count, confidence, held): &(usize, f64, f64)| {
        let count = count as f64;
        count / rows as f64 * (confidence / count - held / count).abs()
    };
    (rows > 0).then(|| filled.map(gap).sum())
}

/// Returns the Brier score, from 0 to 1: the mean squared distance of the confidence from 1 if the prediction was right, else from 0.
/// `None` without rows.
#[must_use]
pub fn brier(confidence: &[f64], held: &[bool]) -> Option<f64> {
    let squares = confidence.iter().zip(held).map(|(confidence, &held)| (confidence - f64::from(u8::from(held))).powi(2));
    let rows = confidence.len().min(held.len());
    (rows > 0).then(|| squares.sum::<f64>() / rows as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_measures_on_a_fixed_input() {
        let confidence = [0.05, 0.5, 0.51, 0.99, 1.0, 0.7, 0.72, 0.333];
        let held = [false, true, false, true, true, false, true, true];
        // An independent implementation in numpy gives these on the same input.
        assert!((expected_calibration_error(&confidence, &held).unwrap() - 0.144_625).abs() < 1e-12);
        assert!((brier(&confidence, &held).unwrap() - 0.190_748_625).abs() < 1e-12);
    }

    #[test]
    fn sure_and_right_is_perfect_and_nothing_is_undefined() {
        assert_eq!(expected_calibration_error(&[1.0], &[true]), Some(0.0));
        assert_eq!(brier(&[1.0], &[false]), Some(1.0));
        assert_eq!((expected_calibration_error(&[], &[]), brier(&[], &[])), (None, None));
    }
}
