//! `AdamW` with clipping by the global norm: weights and gradients in, new weights out, in one pass over memory on the processor and by tensors
//! elsewhere.

use burn::tensor::Tensor;
use half::bf16;

use super::decay::decays;
use crate::{
    models::{AdamWStep, Parameters, Squares, Values, adamw, clipping},
    train::settings::Optimizer,
};

/// `PyTorch`'s `AdamW`; norms and biases do not decay.
pub(crate) struct AdamW {
    settings: Optimizer,
    /// Whether weights and averages are held in bfloat16.
    half: bool,
    /// Step number, for the correction of the first averages.
    time: i32,
    /// Averages of gradients and of their squares, in the order of the names.
    moments: Vec<Moments>,
}

/// Averages of one weight's gradients and of their squares.
pub(crate) struct Moments {
    pub(crate) first: Values,
    pub(crate) second: Values,
}

/// What one step does to one weight, in the numbers that it is computed in.
struct Change {
    /// Factor of the weight, which decays.
    keep: f32,
    betas: [f32; 2],
    epsilon: f32,
    /// Learning rate with the correction of the first average.
    step: f32,
    /// Correction of the second average's root.
    root: f32,
    half: bool,
}

impl AdamW {
    pub(crate) fn new(settings: &Optimizer, half: bool) -> Self {
        Self { settings: *settings, half, time: 0, moments: Vec::new() }
    }

    /// Returns the averages, in the order of the names; none before the first step.
    pub(crate) fn moments(&self) -> &[Moments] {
        &self.moments
    }

    /// Goes on behind a step with the averages that it left.
    pub(crate) fn go_on(&mut self, step: usize, moments: Vec<Moments>) {
        self.time = i32::try_from(step).unwrap_or(i32::MAX);
        self.moments = moments;
    }

    /// Rounds the named weights to bfloat16.
    pub(crate) fn round(parameters: &mut Parameters, names: &[String]) {
        for name in names {
            parameters.change(name, Values::rounded);
        }
    }

    /// Moves the named weights by one step against their gradients, which are brought to a norm of at most `max_grad_norm` first (0: any), as `PyTorch`'s
    /// `clip_grad_norm_` does. Returns the norm that they had; where that is no number, nothing is changed.
    pub(crate) fn step(
        &mut self,
        parameters: &mut Parameters,
        names: &[String],
        gradients: &[Values],
        max_grad_norm: f64,
        learning_rate: f64,
    ) -> f64 {
        if self.moments.is_empty() {
            let zeros = |gradient: &Values| Moments { first: gradient.zeros_like(), second: gradient.zeros_like() };
            self.moments = gradients.iter().map(zeros).collect();
        }
        self.time += 1;
        let change = |name: &String| self.change(learning_rate, if decays(name) { self.settings.weight_decay } else { 0.0 });
        let changes: Vec<Change> = names.iter().map(change).collect();
        let squares = Squares::of(gradients);
        if let Squares::Device(sums) = &squares
            && clipping(sums, max_grad_norm)
                .and_then(|factor| self.at_once(parameters, names, gradients, &changes, &factor))
                .is_some()
        {
            // Read when all is given to the device, so that it has no pause.
            return squares.norm();
        }
        let norm = squares.norm();
        if !norm.is_finite() {
            return norm;
        }
        let scale = if max_grad_norm > 0.0 { (max_grad_norm / (norm + 1e-6)).min(1.0) as f32 } else { 1.0 };
        for (index, ((name, gradient), change)) in names.iter().zip(gradients).zip(changes).enumerate() {
            parameters.change(name, |weights| change.apply(weights, gradient, scale, &mut self.moments[index]));
        }
        norm
    }

    /// Changes all weights by one kernel each, where there is such, with a factor that is on the device too; nothing where there is none.
    fn at_once(
        &mut self,
        parameters: &mut Parameters,
        names: &[String],
        gradients: &[Values],
        changes: &[Change],
        factor: &Tensor<1>,
    ) -> Option<()> {
        let weights = names.iter().map(|name| parameters.on_device(name)).collect::<Option<Vec<_>>>()?;
        let of_weight = |index: usize| match (&gradients[index], &self.moments[index]) {
            (Values::Device(gradient), Moments { first: Values::Device(first), second: Values::Device(second) }) => {
                Some(AdamWStep { values: [&weights[index], gradient, first, second], numbers: changes[index].numbers() })
            }
            _ => None,
        };
        let steps = (0..names.len()).map(of_weight).collect::<Option<Vec<_>>>()?;
        let found = adamw(&steps, factor)?;
        let rounded = |tensor| if self.half { Values::Device(tensor).rounded() } else { Values::Device(tensor) };
        for ((name, [weights, first, second]), moments) in names.iter().zip(found).zip(&mut self.moments) {
            parameters.change(name, |_| rounded(weights));
            *moments = Moments { first: rounded(first), second: rounded(second) };
        }
        Some(())
    }

    fn change(&self, learning_rate: f64, weight_decay: f64) -> Change {
        let Self { settings: Optimizer { betas, eps, .. }, time, half, .. } = *self;
        Change {
            keep: (1.0 - learning_rate * weight_decay) as f32,
            betas: betas.map(|beta| beta as f32),
            epsilon: eps as f32,
            step: (learning_rate / (1.0 - betas[0].powi(time))) as f32,
            root: (1.0 / (1.0 - betas[1].powi(time)).sqrt()) as f32,
            half,
        }
    }
}

impl Change {
    /// The numbers in the order of the device's kernel.
    fn numbers(&self) -> [f32; 6] {
        let Self { keep, betas: [beta1, beta2], epsilon, step, root, .. } = *self;
        [keep, beta1, beta2, epsilon, step, root]
    }

    /// Changes weights and averages; gradients count `scale` times.
    fn apply(&self, weights: Values, gradient: &Values, scale: f32, Moments { first, second }: &mut Moments) -> Values {
        match (weights, gradient, &mut *first, &mut *second) {
            (Values::Host(mut weights), Values::Host(gradient), Values::Host(first), Values::Host(second)) => {
                self.on_host(&mut weights, gradient, scale, [first, second]);
                Values::Host(weights)
            }
            (Values::Device(weights), Values::Device(gradient), Values::Device(old), Values::Device(older)) => {
                let (weights, [mean, square]) = self.on_device(weights, gradient.clone() * scale, [old.clone(), older.clone()]);
                (*first, *second) = (Values::Device(mean), Values::Device(square));
                let weights = Values::Device(weights);
                if !self.half {
                    return weights;
                }
                (*first, *second) = (first.clone().rounded(), second.clone().rounded());
                weights.rounded()
            }
            _ => unreachable!("a weight, its gradient and its averages are in one place"),
        }
    }

    fn on_host(&self, weights: &mut [f32], gradient: &[f32], scale: f32, [first, second]: [&mut [f32]; 2]) {
        let Self { keep, betas: [beta1, beta2], epsilon, step, root, half } = *self;
        let averages = first.iter_mut().zip(second);
        for ((weight, gradient), (first, second)) in weights.iter_mut().zip(gradient).zip(averages) {
            let gradient = gradient * scale;
            *first = beta1 * *first + (1.0 - beta1) * gradient;
            *second = beta2 * *second + (1.0 - beta2) * gradient * gradient;
            *weight = *weight * keep - step * *first / (second.sqrt() * root + epsilon);
            if half {
                [weight, first, second].into_iter().for_each(to_half);
            }
        }
    }

    fn on_device(&self, weights: Tensor<1>, gradient: Tensor<1>, [first, second]: [Tensor<1>; 2]) -> (Tensor<1>, [Tensor<1>; 2]) {
        let Self { keep, betas: [beta1, beta2], epsilon, step, root, .. } = *self;
        let first = first * beta1 + gradient.clone() * (1.0 - beta1);
        let second = second * beta2 + gradient.clone() * gradient * (1.0 - beta2);
        let weights = weights * keep - first.clone() * step / (second.clone().sqrt() * root + epsilon);
        (weights, [first, second])
    }
}

fn to_half(value: &mut f32) {
    *value = bf16::from_f32(*value).to_f32();
}

/// Adds gradients to those before, weight by weight; there may be none before, or none to add.
pub(crate) fn add(sum: &mut Vec<Values>, other: Vec<Values>) {
    if sum.is_empty() {
        *sum = other;
        return;
    }
    for (sum, other) in sum.iter_mut().zip(&other) {
        sum.add(other);
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::models::tests::tiny;

    fn adamw(weight_decay: f64) -> AdamW {
        AdamW::new(&Optimizer { betas: [0.9, 0.99], weight_decay, ..Optimizer::default() }, false)
    }

    /// Tensors of the processor stand for those of another device.
    const PLACES: [fn(f32) -> Values; 2] =
        [|value| Values::Host(vec![value]), |value| Values::Device(Tensor::from_data([value], &Device::flex()))];

    fn update(optimizer: &mut AdamW, place: fn(f32) -> Values, gradient: f32, weight: f32) -> f32 {
        optimizer.time += 1;
        if optimizer.moments.is_empty() {
            optimizer.moments.push(Moments { first: place(0.0), second: place(0.0) });
        }
        let change = optimizer.change(0.1, 0.5);
        change.apply(place(weight), &place(gradient), 1.0, &mut optimizer.moments[0]).to_vec()[0]
    }

    #[test]
    fn two_steps_follow_the_formula() {
        for place in PLACES {
            let mut optimizer = adamw(0.5);
            // Step 1: averages corrected to g and g², so the weight moves by the rate: 1 * (1 - 0.05) - 0.1.
            let first = update(&mut optimizer, place, 2.0, 1.0);
            assert!((first - 0.85).abs() < 1e-6, "{first}");
            // Step 2, gradient -4: m = (0.9 * 0.2 - 0.4) / 0.19, v = (0.99 * 0.04 + 0.16) / 0.0199.
            let second = update(&mut optimizer, place, -4.0, first);
            let (mean, square) = ((0.9 * 0.2 - 0.4) / 0.19, (0.99 * 0.04 + 0.16) / 0.0199_f64);
            let expected = 0.85 * 0.95 - 0.1 * mean / square.sqrt();
            assert!((f64::from(second) - expected).abs() < 1e-6, "{second} {expected}");
        }
    }

    #[test]
    fn weights_and_averages_are_held_in_half_where_they_are_to_be() {
        for place in PLACES {
            let mut optimizer = AdamW::new(&Optimizer::default(), true);
            let weight = update(&mut optimizer, place, 0.3, 1.1);
            let Moments { first, second } = &optimizer.moments[0];
            for value in [weight, first.to_vec()[0], second.to_vec()[0]] {
                assert_eq!(value, bf16::from_f32(value).to_f32());
                assert_ne!(value, 0.0);
            }
        }
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
        let ones: Vec<Values> =
            before.iter().filter(|(name, _)| *name != left).map(|(_, values)| Values::Host(vec![1.0; values.len()])).collect();
        adamw(0.0).step(model.parameters_mut(), &names, &ones, 0.0, 0.1);
        for ((name, before), (_, after)) in before.iter().zip(values(&model)) {
            let moved = if *name == left { 0.0 } else { 0.1 };
            assert!(before.iter().zip(after).all(|(before, after)| (before - after - moved).abs() < 1e-5), "{name}");
        }
    }
}
