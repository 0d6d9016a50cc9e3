//! `AdamW` with clipping by the global norm: weights and gradients in, new weights out, in one pass over memory.

use burn::module::{Module as _, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};

use crate::models::Llama;

/// `PyTorch`'s `AdamW`; matrices decay, norms (vectors) do not.
pub(super) struct AdamW {
    pub(super) weight_decay: f64,
    pub(super) adam_beta1: f64,
    pub(super) adam_beta2: f64,
    pub(super) adam_epsilon: f64,
    /// Step number, for the correction of the first averages.
    time: i32,
    /// Averages of gradients and of their squares, in the order of a visit.
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

    /// Moves the weights by one step against the gradients, which are multiplied by `scale` first.
    pub(super) fn step(&mut self, model: Llama, gradients: &[Vec<f32>], scale: f32, learning_rate: f64) -> Llama {
        if self.moments.is_empty() {
            let zeros = |gradient: &Vec<f32>| Moments { first: vec![0.0; gradient.len()], second: vec![0.0; gradient.len()] };
            self.moments = gradients.iter().map(zeros).collect();
        }
        self.time += 1;
        model.map(&mut Update { optimizer: self, gradients, scale, learning_rate, next: 0 })
    }
}

struct Update<'a> {
    optimizer: &'a mut AdamW,
    gradients: &'a [Vec<f32>],
    scale: f32,
    learning_rate: f64,
    next: usize,
}

impl ModuleMapper for Update<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let index = self.next;
        self.next += 1;
        param.map(|tensor| {
            let (shape, device) = (tensor.shape(), tensor.device());
            let mut weights = tensor.into_data().try_into_vec::<f32>().expect("weights are f32");
            self.update(index, D > 1, &mut weights);
            Tensor::from_data(TensorData::new(weights, shape), &device)
        })
    }
}

impl Update<'_> {
    fn update(&mut self, index: usize, decays: bool, weights: &mut [f32]) {
        let AdamW { weight_decay, adam_beta1, adam_beta2, adam_epsilon, time, .. } = *self.optimizer;
        let Moments { first, second } = &mut self.optimizer.moments[index];
        let keep = if decays { (1.0 - self.learning_rate * weight_decay) as f32 } else { 1.0 };
        let (beta1, beta2, epsilon, scale) = (adam_beta1 as f32, adam_beta2 as f32, adam_epsilon as f32, self.scale);
        let step = (self.learning_rate / (1.0 - adam_beta1.powi(time))) as f32;
        let root = (1.0 / (1.0 - adam_beta2.powi(time)).sqrt()) as f32;
        let averages = first.iter_mut().zip(second);
        for ((weight, gradient), (first, second)) in weights.iter_mut().zip(&self.gradients[index]).zip(averages) {
            let gradient = gradient * scale;
            *first = beta1 * *first + (1.0 - beta1) * gradient;
            *second = beta2 * *second + (1.0 - beta2) * gradient * gradient;
            *weight = *weight * keep - step * *first / (second.sqrt() * root + epsilon);
        }
    }
}

/// Takes the gradients of all weights out, in the order of a visit; a weight without one has zeros.
pub(super) fn flatten(model: &Llama, gradients: GradientsParams) -> Vec<Vec<f32>> {
    struct Take(GradientsParams, Vec<Vec<f32>>);
    impl ModuleVisitor for Take {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let values = match self.0.remove::<D>(param.id) {
                Some(gradient) => gradient.into_data().try_into_vec::<f32>().expect("gradients are f32"),
                None => vec![0.0; param.val().shape().num_elements()],
            };
            self.1.push(values);
        }
    }
    let mut take = Take(gradients, Vec::new());
    model.visit(&mut take);
    take.1
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
    use crate::models::llama::tests::tiny;

    fn update(optimizer: &mut AdamW, gradient: f32, scale: f32, decays: bool, weight: f32) -> f32 {
        optimizer.time += 1;
        if optimizer.moments.is_empty() {
            optimizer.moments.push(Moments { first: vec![0.0], second: vec![0.0] });
        }
        let mut weights = [weight];
        let gradients = [vec![gradient]];
        Update { optimizer, gradients: &gradients, scale, learning_rate: 0.1, next: 0 }.update(0, decays, &mut weights);
        weights[0]
    }

    #[test]
    fn two_steps_follow_the_formula() {
        let mut optimizer = AdamW::new(0.5, 0.9, 0.99);
        // Step 1: averages corrected to g and g², so the weight moves by the rate: 1 * (1 - 0.05) - 0.1.
        let first = update(&mut optimizer, 2.0, 1.0, true, 1.0);
        assert!((first - 0.85).abs() < 1e-6, "{first}");
        // Step 2, gradient -4: m = (0.9 * 0.2 - 0.4) / 0.19, v = (0.99 * 0.04 + 0.16) / 0.0199.
        let second = update(&mut optimizer, -4.0, 1.0, true, first);
        let (mean, square) = ((0.9 * 0.2 - 0.4) / 0.19, (0.99 * 0.04 + 0.16) / 0.0199_f64);
        let expected = 0.85 * 0.95 - 0.1 * mean / square.sqrt();
        assert!((f64::from(second) - expected).abs() < 1e-6, "{second} {expected}");
    }

    #[test]
    fn norms_do_not_decay() {
        assert_eq!(update(&mut AdamW::new(0.5, 0.9, 0.99), 0.0, 1.0, false, 1.0), 1.0);
        assert!((update(&mut AdamW::new(0.5, 0.9, 0.99), 0.0, 1.0, true, 1.0) - 0.95).abs() < 1e-6);
    }

    #[test]
    fn the_norm_is_taken_over_all_weights() {
        let gradients = vec![vec![1.0_f32; 18], vec![-3.0, 3.0]];
        assert!((global_norm(&gradients) - 6.0).abs() < 1e-6);
    }

    #[test]
    fn a_step_reaches_every_weight_of_the_model() {
        let model = tiny(1).model;
        let ones: Vec<Vec<f32>> = flatten(&model, GradientsParams::new()).iter().map(|zeros| vec![1.0; zeros.len()]).collect();
        let before = flatten_weights(&model);
        let after = flatten_weights(&AdamW::new(0.0, 0.9, 0.99).step(model, &ones, 1.0, 0.1));
        for (before, after) in before.iter().flatten().zip(after.iter().flatten()) {
            assert!((before - after - 0.1).abs() < 1e-5);
        }
    }

    fn flatten_weights(model: &Llama) -> Vec<Vec<f32>> {
        struct Take(Vec<Vec<f32>>);
        impl ModuleVisitor for Take {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.0.push(param.val().into_data().try_to_vec().unwrap());
            }
        }
        let mut take = Take(Vec::new());
        model.visit(&mut take);
        take.0
    }
}
