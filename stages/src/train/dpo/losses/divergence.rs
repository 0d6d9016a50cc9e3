//! Divergences of a model from its reference (f-DPO, Wang et al. 2023). Takes a log-ratio; gives a score and its slope.

use std::f64::consts::LN_2;

use super::{log_sigmoid, sigmoid};
use crate::train::dpo::{Divergence, Dpo};

/// Exponents are clamped to this, as in TRL.
const LARGEST: f64 = 80.0;

/// Returns the score of a log-ratio, and the score's derivative by it.
pub(crate) fn score(settings: &Dpo, log_ratio: f64) -> (f64, f64) {
    match settings.f_divergence_type {
        Divergence::ReverseKl => (log_ratio, 1.0),
        Divergence::ForwardKl => (1.0 - (-log_ratio).exp(), (-log_ratio).exp()),
        Divergence::JsDivergence => (LN_2 + log_sigmoid(log_ratio), sigmoid(-log_ratio)),
        Divergence::AlphaDivergence => {
            let power = settings.f_alpha_divergence_coef - 1.0;
            if power.abs() < 1e-6 {
                return (log_ratio, 1.0);
            }
            let exponent = power * log_ratio;
            let slope = if exponent > LARGEST { 0.0 } else { exponent.exp() };
            (exponent.min(LARGEST).exp_m1() / power, slope)
        }
    }
}
