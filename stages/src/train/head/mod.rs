//! The head. Takes logits; gives a prediction of each target. Then takes slopes of log-probabilities; gives the gradient of the logits.
//!
//! Losses are functions of the targets' log-probabilities alone, so their gradient by the logits is computed directly: graphs end at the logits,
//! and one pass over them gives all metrics that TRL logs. This file has the head on the processor, with all logits in memory. If they are too
//! many, `in_parts` computes some at a time; `on_device` does so on other devices.

pub(crate) mod in_parts;
pub(crate) mod on_device;

use burn::tensor::{Tensor, TensorData};

use crate::models::{Target, inject_gradient};

/// A model's prediction in the place of one target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// Natural logarithm of the target's probability.
    pub log_probability: f64,
    /// Entropy of the distribution, in nats.
    pub entropy: f64,
    /// Mean of the logits.
    pub mean_logit: f64,
    /// Logarithm of the sum of all squared probabilities.
    pub log_sum_squares: f64,
    /// Whether the target has the largest probability.
    pub correct: bool,
}

/// Predicts from logits, `[targets, vocabulary]`, and turns them into probabilities in place.
pub(super) fn predict(logits: &mut [f32], targets: &[Target]) -> Vec<Prediction> {
    let vocabulary = logits.len() / targets.len().max(1);
    targets
        .iter()
        .zip(logits.chunks_exact_mut(vocabulary.max(1)))
        .map(|(target, row)| prediction(row, target.token as usize))
        .collect()
}

fn prediction(row: &mut [f32], token: usize) -> Prediction {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let logit = f64::from(row[token] - largest);
    let correct = row.iter().position(|&value| value >= largest) == Some(token);
    let (mut total, mut squares, mut weighted, mut sum) = (0.0_f64, 0.0_f64, 0.0_f64, 0.0_f64);
    for value in row.iter_mut() {
        let below = *value - largest;
        let probability = below.exp();
        *value = probability;
        let (below, probability) = (f64::from(below), f64::from(probability));
        total += probability;
        squares += probability * probability;
        weighted += probability * below;
        sum += below;
    }
    let inverse = total.recip() as f32;
    for probability in row.iter_mut() {
        *probability *= inverse;
    }
    Prediction {
        log_probability: logit - total.ln(),
        entropy: total.ln() - weighted / total,
        mean_logit: f64::from(largest) + sum / row.len() as f64,
        log_sum_squares: squares.ln() - 2.0 * total.ln(),
        correct,
    }
}

/// Turns probabilities into the gradient of the logits in place. `slopes` has one for each target.
pub(super) fn logit_gradient(probabilities: &mut [f32], targets: &[Target], slopes: &[f32]) {
    let vocabulary = probabilities.len() / targets.len().max(1);
    for ((target, &slope), row) in targets.iter().zip(slopes).zip(probabilities.chunks_exact_mut(vocabulary.max(1))) {
        for probability in row.iter_mut() {
            *probability *= -slope;
        }
        row[target.token as usize] += slope;
    }
}

/// Returns a scalar whose backward pass gives logits, `[targets, vocabulary]`, the gradient of the loss, from their
/// probabilities and the slope of each target.
pub(super) fn inject_slopes(logits: Tensor<2>, mut probabilities: Vec<f32>, targets: &[Target], slopes: &[f32]) -> Tensor<2> {
    logit_gradient(&mut probabilities, targets, slopes);
    let slope = Tensor::from_data(TensorData::new(probabilities, logits.dims()), &logits.device().without_autodiff());
    inject_gradient(logits, slope)
}

/// Copies logits from a tensor of the processor into memory, row by row.
pub(super) fn to_memory(logits: Tensor<2>) -> Vec<f32> {
    logits.into_data().try_into_vec().expect("logits are f32")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGETS: [Target; 2] = [Target { place: 0, token: 1 }, Target { place: 1, token: 0 }];

    #[test]
    fn figures_follow_their_definitions() {
        let logits = [1.0_f64, 2.0, 0.5];
        let mut row: Vec<f32> = logits.iter().map(|&value| value as f32).collect();
        let found = predict(&mut row, &TARGETS[..1])[0];
        let total: f64 = logits.iter().map(|value| value.exp()).sum();
        let probabilities: Vec<f64> = logits.iter().map(|value| value.exp() / total).collect();
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        close(found.log_probability, probabilities[1].ln());
        close(found.entropy, -probabilities.iter().map(|probability| probability * probability.ln()).sum::<f64>());
        close(found.mean_logit, 3.5 / 3.0);
        close(found.log_sum_squares, probabilities.iter().map(|probability| probability * probability).sum::<f64>().ln());
        assert!(found.correct);
        row.iter().zip(&probabilities).for_each(|(&found, &expected)| close(f64::from(found), expected));
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let logits = [0.3_f32, -1.2, 0.9, 2.0, 0.1, -0.4];
        let slopes = [-0.25_f32, 0.75];
        let loss = |logits: &[f32]| -> f64 {
            let found = predict(&mut logits.to_vec(), &TARGETS);
            found.iter().zip(slopes).map(|(found, slope)| found.log_probability * f64::from(slope)).sum()
        };
        let mut gradient = logits.to_vec();
        predict(&mut gradient, &TARGETS);
        logit_gradient(&mut gradient, &TARGETS, &slopes);
        for (index, &found) in gradient.iter().enumerate() {
            let at = |step: f32| {
                let mut moved = logits;
                moved[index] += step;
                loss(&moved)
            };
            let expected = (at(0.01) - at(-0.01)) / 0.02;
            assert!((f64::from(found) - expected).abs() < 1e-4, "{index}: {found} {expected}");
        }
    }
}
