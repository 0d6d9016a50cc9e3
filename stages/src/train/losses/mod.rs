//! Losses of direct preference optimisation: log-probabilities of a micro-batch's pairs in, a scalar to descend out.
//!
//! [`loss`] adds up the losses that the settings name. Each is a function of log-ratios in [`pair`]; [`divergence`] says how far model and
//! reference are apart, [`weights`] how much a token or a pair counts. The formulas are those of TRL 1.16's `DPOTrainer`, but for one: `sigmoid`
//! reads `label_smoothing`, as TRL did before 1.0, and is the same where that is 0.

pub mod divergence;
pub mod pair;
pub mod weights;

use burn::tensor::Tensor;

use super::settings::Dpo;

/// What the losses of one micro-batch are made from; every tensor is `[pairs]`.
///
/// Log-probabilities are sums over an answer's tokens, natural logarithm, weighted by [`weights::of_tokens`] where `ld_alpha` asks for it.
#[derive(Clone, Debug)]
pub struct Pairs {
    /// The model's, of the better answers.
    pub chosen: Tensor<1>,
    /// The model's, of the worse answers.
    pub rejected: Tensor<1>,
    /// The reference's, of the better answers, without a gradient; 0 without a reference.
    pub reference_chosen: Tensor<1>,
    /// The reference's, of the worse answers.
    pub reference_rejected: Tensor<1>,
    /// The model's, of the better answers, every token counting alike.
    pub chosen_tokens: Tensor<1>,
    /// Tokens of the better answers.
    pub chosen_lengths: Tensor<1>,
    /// Tokens of the worse answers.
    pub rejected_lengths: Tensor<1>,
    /// How much each pair counts, without a gradient [default: alike].
    pub weights: Option<Tensor<1>>,
}

impl Pairs {
    /// Log-ratios of model and reference, of the better and of the worse answers.
    fn ratios(&self) -> [Tensor<1>; 2] {
        [self.chosen.clone() - self.reference_chosen.clone(), self.rejected.clone() - self.reference_rejected.clone()]
    }
}

/// Returns the weighted sum of the losses that the settings name, each the mean over the pairs; `[1]`.
#[must_use]
pub fn loss(pairs: &Pairs, settings: &Dpo) -> Tensor<1> {
    let one = |place: usize| settings.loss_weights.as_ref().and_then(|weights| weights.get(place)).copied().unwrap_or(1.0);
    let losses = settings.loss_type.iter().enumerate().map(|(place, &name)| {
        let each = pair::losses(name, pairs, settings);
        let each = match &pairs.weights {
            Some(weights) => each * weights.clone(),
            None => each,
        };
        each.mean() * one(place)
    });
    losses.reduce(|sum, loss| sum + loss).unwrap_or_else(|| pairs.chosen.clone().mean() * 0.0)
}

#[cfg(test)]
mod tests;
