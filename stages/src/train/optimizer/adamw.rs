//! `AdamW` (Loshchilov and Hutter 2019), as in `PyTorch`: on the processor in one pass over memory, on a device by a kernel or by tensors.
//! Takes a weight and its gradient; gives the new weight.

use burn::tensor::Tensor;
use serde_json::{Value, json};

use super::rule::{OnDevice, Rule, Update, count};
use crate::{
    part::settings,
    models::{AdamWStep, Values, adamw},
    train::{
        TrainError,
        settings::range,
    },
};

settings! {
    /// Adam with decoupled weight decay.
    pub struct AdamW {
        /// Decays of the averages of gradients and of squared gradients.
        betas: [f64; 2] = [0.9, 0.999],
        /// Added to the root of the squared gradients' average.
        eps: f64 = 1e-8,
        /// Decay of matrices; biases and norms do not decay.
        weight_decay: f64 = 0.0,
    }
}

/// The coefficients of a step for one weight.
struct Numbers {
    /// Factor of the weight, for its decay.
    keep: f32,
    betas: [f32; 2],
    epsilon: f32,
    /// Learning rate with the bias correction of the first average.
    step: f32,
    /// Bias correction of the second average's root.
    root: f32,
}

impl Rule for AdamW {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn optim_words() -> Vec<(&'static str, Self)> {
        ["adamw_torch", "adamw_torch_fused"].map(|word| (word, Self::default())).into()
    }

    fn trl_number(&mut self, name: &str) -> Option<&mut f64> {
        match name {
            "adam_beta1" => Some(&mut self.betas[0]),
            "adam_beta2" => Some(&mut self.betas[1]),
            "adam_epsilon" => Some(&mut self.eps),
            "weight_decay" => Some(&mut self.weight_decay),
            _ => None,
        }
    }

    /// Returns the numbers under TRL's names, as keys had them before there was another optimiser.
    fn key_entries(&self) -> Option<Value> {
        let Self { betas: [beta1, beta2], eps, weight_decay } = self;
        Some(json!({ "adam_beta1": beta1, "adam_beta2": beta2, "adam_epsilon": eps, "weight_decay": weight_decay }))
    }

    fn check(&self) -> Result<(), TrainError> {
        range::positive("eps", self.eps)?;
        range::decays("betas", &self.betas)?;
        range::not_negative("weight_decay", self.weight_decay)
    }

    fn weight_decay(&self) -> f64 {
        self.weight_decay
    }

    /// Names the averages of gradients and of their squares.
    fn state(&self, shape: &[usize]) -> Vec<(&'static str, usize)> {
        let count = count(shape);
        vec![("first", count), ("second", count)]
    }

    fn apply(&self, update: &Update, _: &[usize], weight: Values, gradient: &Values, state: &mut [Values]) -> Values {
        let numbers = self.numbers(update);
        match (weight, gradient, state) {
            (Values::Host(mut weights), Values::Host(gradient), [Values::Host(first), Values::Host(second)]) => {
                numbers.on_host(&mut weights, gradient, update.scale, [first, second]);
                Values::Host(weights)
            }
            (Values::Device(weights), Values::Device(gradient), [Values::Device(first), Values::Device(second)]) => {
                let gradient = gradient.clone() * update.scale;
                let (weights, averages) = numbers.on_device(weights, gradient, [first.clone(), second.clone()]);
                [*first, *second] = averages;
                Values::Device(weights)
            }
            _ => unreachable!("a weight, its gradient and both averages are on one device"),
        }
    }

    fn fused(&self, weights: &[OnDevice<'_>], factor: &Tensor<1>) -> Option<Vec<Vec<Tensor<1>>>> {
        let mut steps = Vec::with_capacity(weights.len());
        for OnDevice { update, weight, gradient, state } in weights {
            let &[first, second] = state.as_slice() else { return None };
            steps.push(AdamWStep { values: [weight, gradient, first, second], numbers: self.numbers(update).list() });
        }
        adamw(&steps, factor).map(|updated| updated.into_iter().map(Vec::from).collect())
    }
}

impl AdamW {
    fn numbers(&self, update: &Update) -> Numbers {
        let Self { betas, eps, .. } = *self;
        let Update { step, learning_rate, weight_decay, .. } = *update;
        Numbers {
            keep: (1.0 - learning_rate * weight_decay) as f32,
            betas: betas.map(|beta| beta as f32),
            epsilon: eps as f32,
            step: (learning_rate / (1.0 - betas[0].powi(step))) as f32,
            root: (1.0 / (1.0 - betas[1].powi(step)).sqrt()) as f32,
        }
    }
}

impl Numbers {
    /// Lists the numbers in the order of the device's kernel.
    fn list(&self) -> [f32; 6] {
        let Self { keep, betas: [beta1, beta2], epsilon, step, root } = *self;
        [keep, beta1, beta2, epsilon, step, root]
    }

    fn on_host(&self, weights: &mut [f32], gradient: &[f32], scale: f32, [first, second]: [&mut [f32]; 2]) {
        let Self { keep, betas: [beta1, beta2], epsilon, step, root } = *self;
        let averages = first.iter_mut().zip(second);
        for ((weight, gradient), (first, second)) in weights.iter_mut().zip(gradient).zip(averages) {
            let gradient = gradient * scale;
            *first = beta1 * *first + (1.0 - beta1) * gradient;
            *second = beta2 * *second + (1.0 - beta2) * gradient * gradient;
            *weight = *weight * keep - step * *first / (second.sqrt() * root + epsilon);
        }
    }

    fn on_device(&self, weights: Tensor<1>, gradient: Tensor<1>, [first, second]: [Tensor<1>; 2]) -> (Tensor<1>, [Tensor<1>; 2]) {
        let Self { keep, betas: [beta1, beta2], epsilon, step, root } = *self;
        let first = first * beta1 + gradient.clone() * (1.0 - beta1);
        let second = second * beta2 + gradient.clone() * gradient * (1.0 - beta2);
        let weights = weights * keep - first.clone() * step / (second.clone().sqrt() * root + epsilon);
        (weights, [first, second])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::optimizer::tests::{PLACES, assert_reference, steps};

    #[test]
    fn steps_are_those_of_pytorch() {
        assert_reference("adamw", include_str!("../../../tests/reference/adamw.json"));
    }

    #[test]
    fn two_steps_follow_the_formula() {
        let adamw = AdamW { betas: [0.9, 0.99], weight_decay: 0.5, ..AdamW::default() };
        for place in PLACES {
            let [first, second] = steps(&adamw, place, (&[1], &[1.0]), &[(&[2.0], 0.1), (&[-4.0], 0.1)]).try_into().unwrap();
            // Step 1: the corrected averages are g and g², so the weight moves by the rate: 1 * (1 - 0.05) - 0.1.
            assert!((first[0] - 0.85).abs() < 1e-6, "{first:?}");
            // Step 2, gradient -4: m = (0.9 * 0.2 - 0.4) / 0.19, v = (0.99 * 0.04 + 0.16) / 0.0199.
            let (mean, square) = ((0.9 * 0.2 - 0.4) / 0.19, (0.99 * 0.04 + 0.16) / 0.0199_f64);
            let expected = 0.85 * 0.95 - 0.1 * mean / square.sqrt();
            assert!((f64::from(second[0]) - expected).abs() < 1e-6, "{second:?} {expected}");
        }
    }
}
