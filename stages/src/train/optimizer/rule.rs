//! What an optimiser does to one weight in one step: the weight, its gradient and what is kept of it in; the new ones out.

use burn::tensor::Tensor;
use serde_json::Value;

use crate::{models::Values, train::TrainError};

/// One step, as one weight sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Update {
    /// Number of the step, from 1.
    pub(crate) step: i32,
    pub(crate) learning_rate: f64,
    /// Decay of this weight: 0 for biases and norms.
    pub(crate) weight_decay: f64,
    /// Factor of the gradient, which clips the norm of all gradients together.
    pub(crate) scale: f32,
}

/// The rule of an optimiser, which its settings are the numbers of.
pub(crate) trait Rule {
    /// Names it as `optimizer: { name: … }` does.
    fn name(&self) -> &'static str;

    /// Lists transformers' words for it in `optim`, each with the settings that it stands for.
    fn optim_words() -> Vec<(&'static str, Self)>
    where
        Self: Sized;

    /// Returns the number that TRL sets by an entry of its own: `adam_beta1`, `adam_beta2`, `adam_epsilon` or `weight_decay`.
    fn trl_number(&mut self, name: &str) -> Option<&mut f64>;

    /// Returns the entries that a key has of these settings, if it has them otherwise than they are read.
    fn key_entries(&self) -> Option<Value> {
        None
    }

    /// Refuses settings out of their range.
    ///
    /// # Errors
    /// The first such setting.
    fn check(&self) -> Result<(), TrainError>;

    /// Returns the decay of matrices; biases and norms do not decay.
    fn weight_decay(&self) -> f64;

    /// Names what is kept of a weight of this shape from step to step, with the count of its numbers. All are 0 before the first step.
    /// Checkpoints of interrupted trainings have these names.
    fn state(&self, shape: &[usize]) -> Vec<(&'static str, usize)>;

    /// Updates a weight of this shape, and the state that is kept of it.
    fn apply(&self, update: &Update, shape: &[usize], weight: Values, gradient: &Values, state: &mut [Values]) -> Values;

    /// Updates all weights on a device by a kernel of this optimiser's own, if the device has such a kernel.
    fn fused(&self, _weights: &[OnDevice<'_>], _factor: &Tensor<1>) -> Option<Vec<Vec<Tensor<1>>>> {
        None
    }
}

/// A weight on a device, `[count]`, as a kernel needs it.
pub(crate) struct OnDevice<'a> {
    pub(crate) update: Update,
    pub(crate) weight: &'a Tensor<1>,
    pub(crate) gradient: &'a Tensor<1>,
    pub(crate) state: Vec<&'a Tensor<1>>,
}

/// Counts the numbers of a weight. Shapes may be hostile: the product saturates.
pub(super) fn count(shape: &[usize]) -> usize {
    shape.iter().fold(1, |product, &size| product.saturating_mul(size))
}
