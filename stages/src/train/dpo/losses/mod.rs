//! Losses of preference optimisation: log-probabilities of pairs of answers in, each pair's loss and its slopes out.
//!
//! As TRL 1.16 has them (`DPOTrainer._compute_loss`), in f64. A slope is the loss's derivative by the log-probability of an answer; tests hold
//! each against finite differences.

mod divergence;
mod pairs;

pub(crate) use pairs::{Loss, losses};

/// An answer as the model and its reference see it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Answer {
    /// Sum of its tokens' log-probabilities.
    pub(crate) log_probability: f64,
    /// The same of the reference.
    pub(crate) reference: f64,
    /// Its tokens.
    pub(crate) tokens: usize,
}

impl Answer {
    /// Returns how much likelier the model makes it than the reference does.
    pub(crate) fn log_ratio(&self) -> f64 {
        self.log_probability - self.reference
    }
}

/// The chosen answer and the rejected one.
pub(crate) type Pair = [Answer; 2];

/// `ln(1 / (1 + e^-x))` without overflow on either side.
pub(crate) fn log_sigmoid(value: f64) -> f64 {
    value.min(0.0) - (-value.abs()).exp().ln_1p()
}

/// `1 / (1 + e^-x)`.
pub(crate) fn sigmoid(value: f64) -> f64 {
    log_sigmoid(value).exp()
}
