//! How far the model is from the reference: log-ratios in, scores of the same shape out.
//!
//! A score is the derivative of the divergence's generator at the ratio (Wang et al. 2023, "Beyond reverse KL").

use burn::tensor::{Tensor, activation};

use crate::train::settings::{Divergence, Dpo};

/// Exponents above this have no float32 power.
const LARGEST_EXPONENT: f64 = 80.0;

/// Returns the scores of log-ratios.
#[must_use]
pub fn scores(ratios: Tensor<1>, settings: &Dpo) -> Tensor<1> {
    match settings.f_divergence_type {
        Divergence::ReverseKl => ratios,
        Divergence::ForwardKl => ratios.neg().exp().neg() + 1.0,
        Divergence::JsDivergence => activation::log_sigmoid(ratios) + std::f64::consts::LN_2,
        Divergence::AlphaDivergence => {
            let exponent = settings.f_alpha_divergence_coef - 1.0;
            // At 1 the limit is the logarithm itself.
            if exponent.abs() < 1e-6 {
                return ratios;
            }
            ((ratios * exponent).clamp_max(LARGEST_EXPONENT).exp() - 1.0) / exponent
        }
    }
}
