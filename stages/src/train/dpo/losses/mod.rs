//! Losses of preference optimisation. Takes log-probabilities of pairs of answers; gives each pair's loss and its slopes.
//!
//! They are those of TRL 1.16 (`DPOTrainer._compute_loss`), computed in f64. A slope is the loss's derivative by the log-probability of an
//! answer; tests compare each with finite differences. Read this file (an answer and its log-ratio) first, then `divergence` (the score of a
//! log-ratio) and `pairs` (the losses). A loss is added by a word in [`DpoLoss`](super::DpoLoss) and a branch in `pairs`.

mod divergence;
mod pairs;

pub(crate) use pairs::{Loss, losses};

/// An answer with its log-probabilities by the model and by the reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Answer {
    /// Sum of its tokens' log-probabilities.
    pub(crate) log_probability: f64,
    /// The same sum by the reference.
    pub(crate) reference: f64,
    /// Number of its tokens.
    pub(crate) tokens: usize,
}

impl Answer {
    /// Returns the log-probability by the model minus that by the reference.
    pub(crate) fn log_ratio(&self) -> f64 {
        self.log_probability - self.reference
    }
}

/// The chosen answer and the rejected one.
pub(crate) type Pair = [Answer; 2];

/// Returns `ln(1 / (1 + e^-x))`, without overflow on either side.
pub(crate) fn log_sigmoid(value: f64) -> f64 {
    value.min(0.0) - (-value.abs()).exp().ln_1p()
}

/// Returns `1 / (1 + e^-x)`.
pub(crate) fn sigmoid(value: f64) -> f64 {
    log_sigmoid(value).exp()
}
