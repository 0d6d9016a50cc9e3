//! The call-performance curve. Takes router scores with the qualities and costs of two models; gives the curve and the measures of it.
//!
//! Throughout, `weak` and `strong` are the qualities (0 to 1) of the cheap and the dear model's answers to the same questions, and a
//! higher score sends a question to the strong model sooner. All slices of one call have the same length.

/// Tolerance for the rounding of running sums when a quality is compared with a target.
const ROUNDING: f64 = 1e-12;

/// Quality and cost for every number of calls to the strong model: at element `k`, it gets the `k` questions with the highest scores.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// The share of calls that go to the strong model, 0 to 1 (n + 1 points).
    pub calls: Vec<f64>,
    /// The mean quality at each point.
    pub quality: Vec<f64>,
    /// The mean cost of a question at each point, if costs were given.
    pub cost: Option<Vec<f64>>,
}

/// Returns the indices of rows by falling score. Rows of equal score keep their order.
#[must_use]
pub fn by_score(scores: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    // `total_cmp` orders -0.0 before 0.0, which must be equal here. Adding 0.0 makes both positive.
    order.sort_by(|&left, &right| (scores[right] + 0.0).total_cmp(&(scores[left] + 0.0)));
    order
}

/// Returns the exact call-performance curve. `costs` are those of the weak and of the strong model's answers.
#[must_use]
pub fn curve(scores: &[f64], weak: &[f64], strong: &[f64], costs: Option<(&[f64], &[f64])>) -> Curve {
    let order = by_score(scores);
    let count = scores.len();
    Curve {
        calls: (0..=count).map(|calls| calls as f64 / count.max(1) as f64).collect(),
        quality: replaced(&order, weak, strong),
        cost: costs.map(|(weak, strong)| replaced(&order, weak, strong)),
    }
}

/// Returns the mean of `from`, and the mean after each further row, in `order`, is replaced by its value in `to`.
fn replaced(order: &[usize], from: &[f64], to: &[f64]) -> Vec<f64> {
    let count = order.len().max(1) as f64;
    let start: f64 = from.iter().sum();
    let mut change = 0.0;
    let steps = order.iter().map(|&row| {
        change += to[row] - from[row];
        (start + change) / count
    });
    std::iter::once(start / count).chain(steps).collect()
}

/// Returns the performance gap recovered (PGR): 0 at the weak model's quality, 1 at the strong one's. `None` if the strong model is no better.
#[must_use]
pub fn pgr(quality: f64, weak: f64, strong: f64) -> Option<f64> {
    (strong - weak > ROUNDING).then(|| (quality - weak) / (strong - weak))
}

/// Returns the average performance gap recovered (APGR, after RouteLLM): PGR integrated over the share of calls. A random order has 0.5.
///
/// `None` without rows, or if the strong model is no better than the weak one.
#[must_use]
pub fn apgr(scores: &[f64], weak: &[f64], strong: &[f64]) -> Option<f64> {
    let recovered = recovered(&curve(scores, weak, strong, None))?;
    let width = 1.0 / scores.len() as f64;
    Some(recovered.windows(2).map(|pair| f64::midpoint(pair[0], pair[1]) * width).sum())
}

/// Returns the APGR of the best possible order. It can exceed 1, since the best order sends questions that only the weak model answers last.
#[must_use]
pub fn oracle_apgr(weak: &[f64], strong: &[f64]) -> Option<f64> {
    let gains: Vec<f64> = weak.iter().zip(strong).map(|(weak, strong)| strong - weak).collect();
    apgr(&gains, weak, strong)
}

/// Returns the call-performance threshold (CPT): the least share of calls whose PGR reaches `target`, interpolated linearly between points.
///
/// `None` if PGR is undefined or never reaches the target.
#[must_use]
pub fn cpt(scores: &[f64], weak: &[f64], strong: &[f64], target: f64) -> Option<f64> {
    let curve = curve(scores, weak, strong, None);
    let recovered = recovered(&curve)?;
    let first = recovered.iter().position(|&share| share >= target - ROUNDING)?;
    if first == 0 {
        return Some(0.0);
    }
    let (before, after) = (recovered[first - 1], recovered[first]);
    let (left, right) = (curve.calls[first - 1], curve.calls[first]);
    Some(if after > before { left + (right - left) * (target - before) / (after - before) } else { right })
}

/// Returns the quality-neutral cost: the least mean cost that reaches the quality `target`, as a share of the strong model's mean cost.
///
/// The usual target is the strong model's own quality. `None` if the curve has no costs, no point reaches the target, or the strong model costs
/// nothing.
#[must_use]
pub fn quality_neutral_cost(curve: &Curve, target: f64) -> Option<f64> {
    let cost = curve.cost.as_ref()?;
    let always_strong = *cost.last()?;
    let reaching = curve.quality.iter().zip(cost).filter(|(quality, _)| **quality >= target - ROUNDING);
    let least = reaching.map(|(_, cost)| *cost).min_by(f64::total_cmp)?;
    (always_strong > 0.0).then(|| least / always_strong)
}

/// Returns the PGR at every point of a curve.
fn recovered(curve: &Curve) -> Option<Vec<f64>> {
    let (weak, strong) = (*curve.quality.first()?, *curve.quality.last()?);
    curve.quality.iter().map(|&quality| pgr(quality, weak, strong)).collect()
}

#[cfg(test)]
mod tests {
    //! Expected values: an independent implementation in numpy, on the same inputs.
    use super::*;

    const SCORES: [f64; 8] = [0.9, 0.9, 0.1, 0.5, 0.5, 0.5, 0.3, 0.0];
    const WEAK: [f64; 8] = [0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0];
    const STRONG: [f64; 8] = [1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0];
    const CHEAP: [f64; 8] = [0.1, 0.2, 0.1, 0.3, 0.1, 0.1, 0.2, 0.1];
    const DEAR: [f64; 8] = [1.0, 2.0, 1.5, 1.0, 1.0, 3.0, 1.0, 0.5];

    fn near(found: Option<f64>, wanted: f64) {
        assert!(found.is_some_and(|found| (found - wanted).abs() < 1e-12), "{found:?} is not {wanted}");
    }

    #[test]
    fn curve_with_ties_keeps_their_order() {
        let curve = curve(&SCORES, &WEAK, &STRONG, Some((&CHEAP, &DEAR)));
        assert_eq!(curve.quality, [0.375, 0.5, 0.5, 0.625, 0.625, 0.625, 0.75, 0.625, 0.625]);
        let cost = [0.15, 0.2625, 0.4875, 0.575, 0.6875, 1.05, 1.15, 1.325, 1.375];
        assert!(curve.cost.unwrap().iter().zip(cost).all(|(found, wanted)| (found - wanted).abs() < 1e-12));
        near(curve.calls.get(3).copied(), 0.375);
    }

    #[test]
    fn areas_and_thresholds() {
        near(apgr(&SCORES, &WEAK, &STRONG), 0.875);
        near(oracle_apgr(&WEAK, &STRONG), 1.1875);
        for (target, share) in [(0.2, 0.05), (0.5, 0.125), (0.8, 0.325), (1.0, 0.375), (1.2, 0.675)] {
            near(cpt(&SCORES, &WEAK, &STRONG, target), share);
        }
        assert_eq!(cpt(&SCORES, &WEAK, &STRONG, 1.6), None);
        near(quality_neutral_cost(&curve(&SCORES, &WEAK, &STRONG, Some((&CHEAP, &DEAR))), 0.625), 0.418_181_818_181_818_2);
        let reversed = SCORES.map(|score| -score);
        near(apgr(&reversed, &WEAK, &STRONG), 0.3125);
        near(cpt(&reversed, &WEAK, &STRONG, 0.5), 0.5);
        near(quality_neutral_cost(&curve(&reversed, &WEAK, &STRONG, Some((&CHEAP, &DEAR))), 0.625), 0.836_363_636_363_636_3);
    }

    #[test]
    fn one_row_and_equal_scores() {
        near(apgr(&[0.3], &[0.0], &[1.0]), 0.5);
        near(cpt(&[0.3], &[0.0], &[1.0], 0.5), 0.5);
        near(apgr(&[0.0; 5], &[0.0, 1.0, 0.0, 0.0, 0.0], &[1.0, 1.0, 0.0, 0.0, 1.0]), 0.5);
        assert_eq!(by_score(&[0.0, -0.0, 0.0]), [0, 1, 2]);
    }

    #[test]
    fn no_gap_has_no_measure() {
        for strong in [[1.0, 0.0], [0.0, 0.0]] {
            assert_eq!(apgr(&[0.1, 0.2], &[1.0, 0.0], &strong), None);
            assert_eq!(cpt(&[0.1, 0.2], &[1.0, 0.0], &strong, 0.5), None);
            assert_eq!(oracle_apgr(&[1.0, 0.0], &strong), None);
        }
        assert_eq!(apgr(&[], &[], &[]), None);
        assert_eq!(quality_neutral_cost(&curve(&[1.0], &[0.0], &[1.0], Some((&[0.0], &[0.0]))), 1.0), None);
        assert_eq!(quality_neutral_cost(&curve(&[1.0], &[0.0], &[1.0], None), 1.0), None);
    }
}
