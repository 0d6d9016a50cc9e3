//! `AdamW` with clipping by the global norm: weights and gradients in, new weights out, in one pass over memory.

use super::decay::decays;
use crate::models::Parameters;

/// `PyTorch`'s `AdamW`; norms and biases do not decay.
pub(super) struct AdamW {
    pub(super) weight_decay: f64,
    pub(super) adam_beta1: f64,
    pub(super) adam_beta2: f64,
    pub(super) adam_epsilon: f64,
    /// Step number, for the correction of the first averages.
    time: i32,
    /// Averages of gradients and of their squares, in the order of the names.
    moments: Vec<Moments>,
}

struct Moments {
    first: Vec<f32>,
    second: Vec<f32>,
}

impl AdamW {
    pub(super) fn new(weight_decay: f64, adam_beta1: f64, adam_beta2: f64) -> Self {
        Self { weight_decay, adam_beta1, adam_beta2, adam_epsilon: 1e-8, time: 0, moments: Vec::new() }
    }

    /// Moves the named weights by one step against their gradients, which are multiplied by `scale` first.
    pub(super) fn step(
        &mut self,
        parameters: &mut Parameters,
        names: &[String],
        gradients: &[Vec<f32>],
        scale: f32,
        learning_rate: f64,
    ) {
        if self.moments.is_empty() {
            let zeros = |gradient: &Vec<f32>| Moments { first: vec![0.0; gradient.len()], second: vec![0.0; gradient.len()] };
            self.moments = gradients.iter().map(zeros).collect();
        }
        self.time += 1;
        for (index, (name, gradient)) in names.iter().zip(gradients).enumerate() {
            let rate = if decays(name) { self.weight_decay } else { 0.0 };
            parameters.update(name, |weights| self.update(index, gradient, scale, learning_rate, rate, weights));
        }
    }

    fn update(&mut self, index: usize, gradient: &[f32], scale: f32, learning_rate: f64, weight_decay: f64, weights: &mut [f32]) {
        let Self { adam_beta1, adam_beta2, adam_epsilon, time, .. } = *self;
        let Moments { first, second } = &mut self.moments[index];
        let keep = (1.0 - learning_rate * weight_decay) as f32;
        let (beta1, beta2, epsilon) = (adam_beta1 as f32, adam_beta2 as f32, adam_epsilon as f32);
        let step = (learning_rate / (1.0 - adam_beta1.powi(time))) as f32;
        let root = (1.0 / (1.0 - adam_beta2.powi(time)).sqrt()) as f32;
        let averages = first.iter_mut().zip(second);
        for ((weight, gradient), (first, second)) in weights.iter_mut().zip(gradient).zip(averages) {
            let gradient = gradient * scale;
            *first = beta1 * *first + (1.0 - beta1) * gradient;
            *second = beta2 * *second + (1.0 - beta2) * gradient * gradient;
            *weight = *weight * keep - step * *first / (second.sqrt() * root + epsilon);
        }
    }
}

/// Adds gradients to those before, element by element.
pub(super) fn add(sum: &mut [Vec<f32>], other: &[Vec<f32>]) {
    for (sum, other) in sum.iter_mut().zip(other) {
        for (sum, other) in sum.iter_mut().zip(other) {
            *sum += other;
        }
    }
}

/// Returns the Euclidean norm over all gradients together.
pub(super) fn global_norm(gradients: &[Vec<f32>]) -> f64 {
    let squares = |gradient: &Vec<f32>| {
        // Sixteen partial sums in a fixed order: as exact as one, and the compiler can use vectors.
        let mut sums = [0.0_f32; 16];
        let (chunks, rest) = gradient.as_chunks::<16>();
        for chunk in chunks {
            for (sum, value) in sums.iter_mut().zip(chunk) {
                *sum += value * value;
            }
        }
        sums.iter().chain(&rest.iter().map(|value| value * value).collect::<Vec<_>>()).map(|&value| f64::from(value)).sum::<f64>()
    };
    gradients.iter().map(squares).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::tests::tiny;

    fn update(optimizer: &mut AdamW, gradient: f32, scale: f32, weight_decay: f64, weight: f32) -> f32 {
        optimizer.time += 1;
        if optimizer.moments.is_empty() {
            optimizer.moments.push(Moments { first: vec![0.0], second: vec![0.0] });
        }
        let mut weights = [weight];
        optimizer.update(0, &[gradient], scale, 0.1, weight_decay, &mut weights);
        weights[0]
    }

    #[test]
    fn two_steps_follow_the_formula() {
        let mut optimizer = AdamW::new(0.5, 0.9, 0.99);
        // Step 1: averages corrected to g and g², so the weight moves by the rate: 1 * (1 - 0.05) - 0.1.
        let first = update(&mut optimizer, 2.0, 1.0, 0.5, 1.0);
        assert!((first - 0.85).abs() < 1e-6, "{first}");
        // Step 2, gradient -4: m = (0.9 * 0.2 - 0.4) / 0.19, v = (0.99 * 0.04 + 0.16) / 0.0199.
        let second = update(&mut optimizer, -4.0, 1.0, 0.5, first);
        let (mean, square) = ((0.9 * 0.2 - 0.4) / 0.19, (0.99 * 0.04 + 0.16) / 0.0199_f64);
        let expected = 0.85 * 0.95 - 0.1 * mean / square.sqrt();
        assert!((f64::from(second) - expected).abs() < 1e-6, "{second} {expected}");
    }

    #[test]
    fn the_norm_is_taken_over_all_weights() {
        let gradients = vec![vec![1.0_f32; 18], vec![-3.0, 3.0]];
        assert!((global_norm(&gradients) - 6.0).abs() < 1e-6);
    }

    #[test]
    fn a_step_reaches_the_named_weights_and_no_other() {
        let mut model = tiny(1).model;
        let values = |model: &crate::models::Model| -> Vec<(String, Vec<f32>)> {
            model.parameters().iter().map(|(name, weight)| (name.to_owned(), weight.clone().into_values())).collect()
        };
        let before = values(&model);
        let mut names = model.trained_names();
        let left = names.pop().unwrap();
        let ones: Vec<Vec<f32>> =
            before.iter().filter(|(name, _)| *name != left).map(|(_, values)| vec![1.0; values.len()]).collect();
        AdamW::new(0.0, 0.9, 0.99).step(model.parameters_mut(), &names, &ones, 1.0, 0.1);
        for ((name, before), (_, after)) in before.iter().zip(values(&model)) {
            let moved = if *name == left { 0.0 } else { 0.1 };
            assert!(before.iter().zip(after).all(|(before, after)| (before - after - moved).abs() < 1e-5), "{name}");
        }
    }
}
