//! Lion (Chen et al. 2023), as in bitsandbytes: every number of a weight moves by the learning rate, against the sign of an average of gradients.
//! Takes a weight and its gradient; gives the new weight.

use burn::tensor::Tensor;

use super::rule::{Rule, Update, count};
use crate::{
    part::settings,
    models::Values,
    train::{
        TrainError,
        settings::range,
    },
};

settings! {
    /// Steps of one size, by the sign of an average of gradients.
    pub struct Lion {
        /// Decays of the average whose sign is taken, and of the average that is kept.
        betas: [f64; 2] = [0.9, 0.99],
        /// Decay of matrices; biases and norms do not decay.
        weight_decay: f64 = 0.0,
    }
}

impl Rule for Lion {
    fn name(&self) -> &'static str {
        "lion"
    }

    /// Returns transformers' words. transformers passes Adam's betas to Lion.
    fn optim_words() -> Vec<(&'static str, Self)> {
        vec![("lion_32bit", Self { betas: [0.9, 0.999], ..Self::default() })]
    }

    fn trl_number(&mut self, name: &str) -> Option<&mut f64> {
        match name {
            "adam_beta1" => Some(&mut self.betas[0]),
            "adam_beta2" => Some(&mut self.betas[1]),
            "weight_decay" => Some(&mut self.weight_decay),
            _ => None,
        }
    }

    fn check(&self) -> Result<(), TrainError> {
        range::decays("betas", &self.betas)?;
        range::not_negative("weight_decay", self.weight_decay)
    }

    fn weight_decay(&self) -> f64 {
        self.weight_decay
    }

    /// Names the average of gradients.
    fn state(&self, shape: &[usize]) -> Vec<(&'static str, usize)> {
        vec![("average", count(shape))]
    }

    fn apply(&self, update: &Update, _: &[usize], weight: Values, gradient: &Values, state: &mut [Values]) -> Values {
        let [beta1, beta2] = self.betas.map(|beta| beta as f32);
        let rate = update.learning_rate as f32;
        let keep = (1.0 - update.learning_rate * update.weight_decay) as f32;
        match (weight, gradient, state) {
            (Values::Host(mut weights), Values::Host(gradient), [Values::Host(average)]) => {
                for ((weight, gradient), average) in weights.iter_mut().zip(gradient).zip(average) {
                    let gradient = gradient * update.scale;
                    let direction = beta1 * *average + (1.0 - beta1) * gradient;
                    // `signum` would be 1 for a direction of 0.
                    let sign = if direction == 0.0 { 0.0 } else { direction.signum() };
                    *weight = *weight * keep - rate * sign;
                    *average = beta2 * *average + (1.0 - beta2) * gradient;
                }
                Values::Host(weights)
            }
            (Values::Device(weights), Values::Device(gradient), [Values::Device(average)]) => {
                let gradient: Tensor<1> = gradient.clone() * update.scale;
                let direction = average.clone() * beta1 + gradient.clone() * (1.0 - beta1);
                *average = average.clone() * beta2 + gradient * (1.0 - beta2);
                Values::Device(weights * keep - direction.sign() * rate)
            }
            _ => unreachable!("a weight, its gradient and the average are on one device"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::optimizer::{Optimizer, tests::assert_reference};

    #[test]
    fn steps_are_those_of_bitsandbytes() {
        assert_reference("lion", include_str!("../../../tests/reference/lion.json"));
    }

    #[test]
    fn transformers_word_for_it_has_the_betas_of_adam() {
        let words = Optimizer::optim_words();
        let (_, lion) = words.iter().find(|(word, _)| *word == "lion_32bit").unwrap();
        assert_eq!(*lion, Lion { betas: [0.9, 0.999], weight_decay: 0.0 }.into());
    }
}
