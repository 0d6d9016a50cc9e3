//! What an optimiser is. Takes a weight, its gradient and its state in one step; gives the new weight and state.

use burn::tensor::Tensor;
use serde_json::Value;

use crate::{models::Values, train::TrainError};

/// The numbers of one step for one weight.
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

/// The rule of an optimiser. A value of the type is its settings.
pub(crate) trait Rule {
    /// Returns the name, as in `optimizer: { name: … }`.
    fn name(&self) -> &'static str;

    /// Lists transformers' words for the optimiser in `optim`, each with the settings that it stands for.
    fn optim_words() -> Vec<(&'static str, Self)>
    where
        Self: Sized;

    /// Returns the number that TRL sets by an entry of its own: `adam_beta1`, `adam_beta2`, `adam_epsilon` or `weight_decay`.
    fn trl_number(&mut self, name: &str) -> Option<&mut f64>;

    /// Returns the entries that a key has for these settings, if they differ from the entries that are read.
    fn key_entries(&self) -> Option<Value> {
        None
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// The first setting that is out of its range.
    fn check(&self) -> Result<(), TrainError>;

    /// Returns the decay of matrices. Biases and norms do not decay.
    fn weight_decay(&self) -> f64;

    /// Returns the parts of the state of a weight of this shape: name and count of numbers. All numbers are 0 before the first step.
    /// Checkpoints of interrupted trainings have these names.
    fn state(&self, shape: &[usize]) -> Vec<(&'static str, usize)>;

    /// Updates a weight of this shape and its state. Returns the new weight.
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

/// Returns the count of the numbers of a weight. The product saturates, since shapes may be hostile.
pub(super) fn count(shape: &[usize]) -> usize {
    shape.iter().fold(1, |product, &size| product.saturating_mul(size))
}
