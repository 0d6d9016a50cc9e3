//! How much a token or a pair counts: lengths and log-probabilities in, factors without a gradient out.

/// Returns the factors of the tokens of two answers under LD-DPO (Liu et al. 2024): what the longer answer has more counts `ld_alpha`.
#[must_use]
pub fn of_tokens(chosen: usize, rejected: usize, ld_alpha: f64) -> [Vec<f64>; 2] {
    let shared = chosen.min(rejected);
    [chosen, rejected].map(|length| (0..length).map(|place| if place < shared { 1.0 } else { ld_alpha }).collect())
}

/// Returns an answer's factor under WPO (Zhou et al. 2024, eq. 2): how likely the model is to say it, against what it would say by itself.
///
/// Of each token its log-probability, and the logarithm of the sum of the squares of all tokens' probabilities at its place. A pair's factor
/// is the product of its answers'.
#[must_use]
pub fn of_answer(log_probabilities: &[f64], log_sums_of_squares: &[f64]) -> f64 {
    let aligned = log_probabilities.iter().zip(log_sums_of_squares).map(|(log_probability, sum)| log_probability - sum);
    (aligned.sum::<f64>() / log_probabilities.len().max(1) as f64).exp()
}
