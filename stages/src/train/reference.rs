//! What a model is held to: a frozen model and pairs in, the log-probabilities of both answers out.

use super::settings::Dpo;
use crate::models::{Model, Row};
use crate::score;

/// Where the reference's log-probabilities come from.
pub(super) enum Reference {
    /// They are 0: nothing holds the model.
    None,
    /// They are known, for each row, of the chosen answer and the rejected one.
    Known(Vec<[f64; 2]>),
    /// They are asked of a model that follows the trained one.
    Synced(Box<Model>),
}

/// Computes the log-probabilities of both answers of each row: sums over their tokens, those of the longer one's tail weighted.
pub(super) fn log_probabilities(model: &Model, rows: &[Row], settings: &Dpo) -> Vec<[f64; 2]> {
    let sums = |answers: Vec<Vec<f32>>| {
        let shared = answers.iter().map(Vec::len).min().unwrap_or(0);
        let mut sums = answers.iter().map(|tokens| {
            tokens.iter().enumerate().map(|(place, &value)| f64::from(value) * weight(settings, place, shared)).sum()
        });
        [sums.next().unwrap_or(0.0), sums.next().unwrap_or(0.0)]
    };
    score::token_log_probabilities(model, rows).into_iter().map(sums).collect()
}

/// Returns how much an answer's token counts; `shared` is the length of the shorter answer (LD-DPO, Liu et al. 2024).
pub(super) fn weight(settings: &Dpo, place: usize, shared: usize) -> f64 {
    if place < shared { 1.0 } else { settings.ld_alpha.unwrap_or(1.0) }
}
