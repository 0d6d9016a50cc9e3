//! The optimiser over all weights of a model. Takes weights and gradients; gives the new weights, and keeps the state.
//!
//! A step clips gradients by their global norm, and applies the rule to each weight with its decay.

use burn::tensor::Tensor;

use super::{
    Optimizer,
    decay::decays,
    rule::{OnDevice, Update},
};
use crate::{
    models::{Parameters, Squares, Values, Weight, clipping},
    train::TrainError,
};

/// An optimiser in the middle of a training.
pub(crate) struct Stepper {
    optimizer: Optimizer,
    /// Whether weights and state are rounded to bfloat16 after each step.
    half: bool,
    /// Number of steps done.
    steps: i32,
    /// The parts of the state of each weight, in the order of the names; empty before the first step.
    state: Vec<Vec<Values>>,
}

impl Stepper {
    pub(crate) fn new(optimizer: &Optimizer, half: bool) -> Self {
        Self { optimizer: optimizer.clone(), half, steps: 0, state: Vec::new() }
    }

    /// Updates the named weights by one step. The global norm of the gradients is first clipped to `max_grad_norm` (0: not clipped), as by
    /// `PyTorch`'s `clip_grad_norm_`. Returns the norm before clipping. If it is not finite, nothing is changed.
    pub(crate) fn step(
        &mut self,
        parameters: &mut Parameters,
        names: &[String],
        gradients: &[Values],
        max_grad_norm: f64,
        learning_rate: f64,
    ) -> f64 {
        if self.state.is_empty() {
            self.state = names.iter().zip(gradients).map(|(name, gradient)| self.zeros(parameters, name, gradient)).collect();
        }
        self.steps += 1;
        let weight_decay = self.optimizer.rule().weight_decay();
        let update = |name: &String| Update {
            step: self.steps,
            learning_rate,
            weight_decay: if decays(name) { weight_decay } else { 0.0 },
            scale: 1.0,
        };
        let updates: Vec<Update> = names.iter().map(update).collect();
        let squares = Squares::of(gradients);
        if let Squares::Device(sums) = &squares
            && clipping(sums, max_grad_norm)
                .and_then(|factor| self.fused(parameters, names, gradients, &updates, &factor))
                .is_some()
        {
            // The norm is read after everything is queued on the device, so that the device does not wait.
            return squares.norm();
        }
        let norm = squares.norm();
        if !norm.is_finite() {
            return norm;
        }
        let scale = if max_grad_norm > 0.0 { (max_grad_norm / (norm + 1e-6)).min(1.0) as f32 } else { 1.0 };
        for (((name, gradient), update), state) in names.iter().zip(gradients).zip(updates).zip(&mut self.state) {
            let shape = shape(parameters, name);
            let update = Update { scale, ..update };
            parameters.change(name, |weight| {
                let weight = self.optimizer.rule().apply(&update, &shape, weight, gradient, state);
                if !self.half {
                    return weight;
                }
                for values in state.iter_mut() {
                    *values = values.clone().rounded();
                }
                weight.rounded()
            });
        }
        norm
    }

    /// Updates all weights by the rule's own kernel, with a clipping factor that is on the device too. Without such a kernel, nothing is
    /// changed.
    fn fused(
        &mut self,
        parameters: &mut Parameters,
        names: &[String],
        gradients: &[Values],
        updates: &[Update],
        factor: &Tensor<1>,
    ) -> Option<()> {
        let weights = names.iter().map(|name| parameters.on_device(name)).collect::<Option<Vec<_>>>()?;
        let weight = |index: usize| {
            let state = self.state[index].iter().map(on_device).collect::<Option<Vec<_>>>()?;
            let gradient = on_device(&gradients[index])?;
            Some(OnDevice { update: updates[index], weight: &weights[index], gradient, state })
        };
        let weights = (0..names.len()).map(weight).collect::<Option<Vec<_>>>()?;
        let updated = self.optimizer.rule().fused(&weights, factor)?;
        drop(weights);
        let rounded = |tensor| if self.half { Values::Device(tensor).rounded() } else { Values::Device(tensor) };
        for ((name, updated), state) in names.iter().zip(updated).zip(&mut self.state) {
            let mut updated = updated.into_iter().map(rounded);
            if let Some(weight) = updated.next() {
                parameters.change(name, |_| weight);
            }
            *state = updated.collect();
        }
        Some(())
    }

    fn zeros(&self, parameters: &Parameters, name: &str, gradient: &Values) -> Vec<Values> {
        let state = self.optimizer.rule().state(&shape(parameters, name));
        state.into_iter().map(|(_, count)| gradient.zeros(count)).collect()
    }

    /// Returns the state under the names `PART/WEIGHT` of a checkpoint; none before the first step.
    pub(crate) fn state<'a>(
        &'a self,
        parameters: &'a Parameters,
        names: &'a [String],
    ) -> impl Iterator<Item = (String, Vec<f32>)> + 'a {
        names.iter().zip(&self.state).flat_map(|(name, state)| {
            let parts = self.optimizer.rule().state(&shape(parameters, name));
            parts.into_iter().zip(state).map(move |((part, _), values)| (format!("{part}/{name}"), values.to_vec()))
        })
    }

    /// Resumes after a step with the state that it left. `take` returns a part of a weight's state by its name and count of numbers.
    ///
    /// # Errors
    /// The errors of `take`.
    pub(crate) fn resume(
        &mut self,
        step: usize,
        parameters: &Parameters,
        names: &[String],
        mut take: impl FnMut(&str, &str, usize) -> Result<Vec<f32>, TrainError>,
    ) -> Result<(), TrainError> {
        self.steps = i32::try_from(step).unwrap_or(i32::MAX);
        self.state.clear();
        for name in names {
            let mut state = Vec::new();
            for (part, count) in self.optimizer.rule().state(&shape(parameters, name)) {
                state.push(Values::new(take(part, name, count)?, parameters.device()));
            }
            self.state.push(state);
        }
        Ok(())
    }
}

/// Returns the tensor of values on a device; nothing on the processor.
fn on_device(values: &Values) -> Option<&Tensor<1>> {
    match values {
        Values::Device(tensor) => Some(tensor),
        Values::Host(_) => None,
    }
}

fn shape(parameters: &Parameters, name: &str) -> Vec<usize> {
    parameters.get(name).map(Weight::shape).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;
    use crate::{models::tests::tiny, train::optimizer::AdamW};

    fn values(parameters: &Parameters) -> Vec<(String, Vec<f32>)> {
        parameters.iter().map(|(name, weight)| (name.to_owned(), weight.clone().into_values())).collect()
    }

    fn gradients(parameters: &Parameters, names: &[String], value: f32) -> Vec<Values> {
        let gradient = |name: &String| Values::Host(vec![value; parameters.zeros(name).to_vec().len()]);
        names.iter().map(gradient).collect()
    }

    #[test]
    fn a_step_reaches_the_named_weights_and_no_other() {
        let mut model = tiny(1).model;
        let before = values(model.parameters());
        let mut names = model.trained_names();
        let left = names.pop().unwrap();
        let ones = gradients(model.parameters(), &names, 1.0);
        let mut stepper = Stepper::new(&AdamW { weight_decay: 0.0, ..AdamW::default() }.into(), false);
        stepper.step(model.parameters_mut(), &names, &ones, 0.0, 0.1);
        for ((name, before), (_, after)) in before.iter().zip(values(model.parameters())) {
            let moved = if *name == left { 0.0 } else { 0.1 };
            assert!(before.iter().zip(after).all(|(before, after)| (before - after - moved).abs() < 1e-5), "{name}");
        }
    }

    #[test]
    fn weights_and_state_are_rounded_to_bfloat16_if_they_are_to_be() {
        for half in [false, true] {
            let mut model = tiny(1).model;
            let names = &model.trained_names()[..1];
            let gradients = gradients(model.parameters(), names, 0.3);
            let mut stepper = Stepper::new(&Optimizer::default(), half);
            stepper.step(model.parameters_mut(), names, &gradients, 0.0, 0.1);
            let state = stepper.state(model.parameters(), names).map(|(_, values)| values);
            let weight = model.parameters().values(&names[0]).unwrap().to_vec();
            let rounded = |value: &f32| bf16::from_f32(*value).to_f32() == *value;
            for values in state.chain([weight]) {
                assert!(values.iter().all(|value| *value != 0.0));
                assert_eq!(values.iter().all(rounded), half);
            }
        }
    }

    #[test]
    fn norms_and_biases_do_not_decay() {
        let mut model = tiny(1).model;
        let before = values(model.parameters());
        let names = model.trained_names();
        let zeros = gradients(model.parameters(), &names, 0.0);
        let mut stepper = Stepper::new(&AdamW { weight_decay: 0.5, ..AdamW::default() }.into(), false);
        stepper.step(model.parameters_mut(), &names, &zeros, 0.0, 0.1);
        for ((name, before), (_, after)) in before.iter().zip(values(model.parameters())) {
            let keep = if decays(name) { 0.95 } else { 1.0 };
            assert!(before.iter().zip(after).all(|(before, after)| (before * keep - after).abs() < 1e-6), "{name}");
        }
    }
}
