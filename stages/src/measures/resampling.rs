//! Statistics. Takes a measure over rows, or two systems' hits on the same rows; gives a bootstrap interval or an exact `McNemar` test.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// The number of resamples for an interval.
pub const RESAMPLES: usize = 1_000;

/// Returns the 95 % interval of a measure, by the percentile bootstrap: [`RESAMPLES`] draws of `rows` rows with replacement.
///
/// `measure` takes indices of rows. Resamples on which it is undefined are left out. `None` if it is undefined on all, or without rows.
pub fn interval(rows: usize, seed: u64, mut measure: impl FnMut(&[usize]) -> Option<f64>) -> Option<[f64; 2]> {
    let bound = u32::try_from(rows).ok().filter(|rows| *rows > 0)?;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn = vec![0; rows];
    let mut values = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        // A draw of a `u32` is the same on every platform, which a draw of a `usize` need not be.
        drawn.fill_with(|| random.random_range(0..bound) as usize);
        values.extend(measure(&drawn).filter(|value| value.is_finite()));
    }
    values.sort_by(f64::total_cmp);
    Some([quantile(&values, 0.025)?, quantile(&values, 0.975)?])
}

/// Returns a quantile of sorted values, interpolated linearly (`numpy`'s default). `share` is from 0 to 1. `None` without values.
#[must_use]
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * sorted.len().checked_sub(1)? as f64;
    let below = place.floor();
    let left = *sorted.get(below as usize)?;
    let right = *sorted.get(place.ceil() as usize)?;
    Some(left + (right - left) * (place - below))
}

/// The result of a `McNemar` test: how two systems differ on the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct McNemar {
    /// The number of rows that only the router gets right.
    pub only_router: u64,
    /// The number of rows that only the other one gets right.
    pub only_other: u64,
    /// The exact two-sided p-value: the probability of a split at least as uneven if both were equally good.
    pub p: f64,
}

/// Tests two systems on paired hits by the exact `McNemar` test. Both slices have a hit for each row.
#[must_use]
pub fn mcnemar(router: &[bool], other: &[bool]) -> McNemar {
    let count = |wanted: (bool, bool)| router.iter().zip(other).filter(|pair| (*pair.0, *pair.1) == wanted).count() as u64;
    let (only_router, only_other) = (count((true, false)), count((false, true)));
    let split = only_router + only_other;
    // In logarithms, since 2^-n underflows from about a thousand discordant rows on.
    let mut term = -(split as f64) * std::f64::consts::LN_2;
    let mut tail = 0.0;
    for hits in 0..=only_router.min(only_other) {
        tail += term.exp();
        term += ((split - hits) as f64 / (hits + 1) as f64).ln();
    }
    McNemar { only_router, only_other, p: if split == 0 { 1.0 } else { (2.0 * tail).min(1.0) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_linear_between_values() {
        let values = [1.0, 2.0, 4.0, 8.0, 16.0];
        for (share, wanted) in [(0.025, 1.1), (0.3, 2.4), (0.975, 15.2), (1.0, 16.0)] {
            assert!((quantile(&values, share).unwrap() - wanted).abs() < 1e-12);
        }
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn interval_of_a_share_is_near_the_reference_and_repeats() {
        let values: Vec<f64> = (0..200).map(|row| f64::from(u8::from(row * 37 % 101 < 60))).collect();
        let share = |drawn: &[usize]| Some(drawn.iter().map(|&row| values[row]).sum::<f64>() / 200.0);
        let [low, high] = interval(200, 7, share).unwrap();
        // 20,000 resamples in numpy give [0.525, 0.665].
        assert!((low - 0.525).abs() <= 0.011 && (high - 0.665).abs() <= 0.011, "[{low}, {high}]");
        assert_eq!(interval(200, 7, share), Some([low, high]));
        let draws = |seed| {
            let mut seen = Vec::new();
            interval(50, seed, |drawn| {
                seen.extend_from_slice(drawn);
                None
            });
            seen
        };
        assert_ne!(draws(1), draws(2));
    }

    #[test]
    fn undefined_resamples_are_left_out() {
        assert_eq!(interval(0, 1, |_| Some(1.0)), None);
        assert_eq!(interval(3, 1, |_| None), None);
        assert_eq!(interval(3, 1, |drawn| Some(if drawn[0] == 0 { f64::NAN } else { 2.0 })), Some([2.0, 2.0]));
    }

    #[test]
    fn mcnemar_is_exact_for_few_and_many_rows() {
        let pair = |router: usize, other: usize| {
            let hits: Vec<bool> = (0..router + other + 9).map(|row| row < router || row >= router + other).collect();
            let others: Vec<bool> = (0..router + other + 9).map(|row| row >= router).collect();
            mcnemar(&hits, &others)
        };
        let few = pair(12, 5);
        assert_eq!((few.only_router, few.only_other), (12, 5));
        assert!((few.p - 0.143_463_134_765_625_6).abs() < 1e-12);
        assert!((pair(1300, 1200).p - 0.047_681_865_221_075_18).abs() < 1e-9);
        assert_eq!((pair(3, 3).p, pair(0, 0).p), (1.0, 1.0));
    }
}
