//! Loops over f32 in the widest vectors that the processor has. Takes slices; gives slices and sums.
//!
//! A sum has [`LANES`] partial sums that are added in a fixed order, so that it is the same for all widths of vectors.

#![expect(clippy::inline_always, reason = "what is not inlined into the vectorised loop is compiled for the oldest processor")]

/// Number of partial sums of a reduction.
const LANES: usize = 16;

/// Runs a loop compiled for this processor's vectors.
#[inline(always)]
pub(crate) fn vectorised<R>(run: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(run)
}

/// Returns `e^x`, to about two units in the last place. It is 0 if the result is no normal number, and NaN if `x` is.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // 1.5 * 2^23: adding it rounds to a whole number, which is then in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, of which the first is exact when multiplied by an exponent.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    let bounded = x.clamp(-87.0, 88.0);
    let rounded = bounded * std::f32::consts::LOG2_E + ROUND;
    let power = rounded - ROUND;
    let rest = bounded - power * LN_2[0] - power * LN_2[1];
    // Minimax polynomial of (e^r - 1 - r) / r² on ±ln 2 / 2 (Moshier's Cephes).
    let mut sum = 1.987_569_1e-4;
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
        sum = sum * rest + coefficient;
    }
    let scale = f32::from_bits((rounded.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
    let value = (sum * rest * rest + rest + 1.0) * scale;
    if x < -87.0 { 0.0 } else { value }
}

/// Returns `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[inline(always)]
fn total(lanes: [f32; LANES]) -> f32 {
    let mut lanes = lanes;
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// Sums `term` over the elements of two slices of one length.
#[inline(always)]
pub(crate) fn sum(left: &[f32], right: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let ((left, left_rest), (right, right_rest)) = (left.as_chunks::<LANES>(), right.as_chunks::<LANES>());
    for (left, right) in left.iter().zip(right) {
        for lane in 0..LANES {
            lanes[lane] += term(left[lane], right[lane]);
        }
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(&left, &right)| term(left, right)).sum();
    total(lanes) + rest
}

/// Returns the largest element; negative infinity without elements.
#[inline(always)]
pub(crate) fn largest(values: &[f32]) -> f32 {
    let larger = |one: f32, other: f32| if other > one { other } else { one };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = larger(lanes[lane], chunk[lane]);
        }
    }
    rest.iter().chain(&lanes).copied().fold(f32::NEG_INFINITY, larger)
}

/// Sums `e^(x - shift)`.
#[inline(always)]
pub(crate) fn sum_exp(values: &[f32], shift: f32) -> f32 {
    sum(values, values, |value, _| exp(value - shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_exact_to_three_units_and_keeps_what_is_not_a_number() {
        let mut worst = 0.0_f64;
        for step in -87_000..=88_000 {
            let x = step as f32 / 1000.0;
            let expected = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) / expected - 1.0).abs());
        }
        assert!(worst < 2.5e-7, "{worst}");
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-1e9), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn reductions_take_the_rest_behind_the_last_whole_vector() {
        let values: Vec<f32> = (0..37).map(|index| index as f32).collect();
        assert_eq!(vectorised(|| sum(&values, &values, |left, right| left + right)), 1332.0);
        assert_eq!(largest(&values), 36.0);
        assert_eq!(largest(&[]), f32::NEG_INFINITY);
        assert!((sum_exp(&[0.0; 19], 0.0) - 19.0).abs() < 1e-5);
    }
}
