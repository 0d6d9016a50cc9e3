//! Losses: log-probabilities of targets in, a scalar to descend and the figures to log out.

use burn::tensor::{Tensor, TensorData, activation};

use crate::models::{Batch, Model, fused};
pub(super) use crate::score::sequence_sums;

/// Log-probabilities of a batch's targets, `[targets, 1]`, with the gradient's graph, and how many are the model's first choice.
pub(super) struct Scored {
    pub(super) log_probabilities: Tensor<2>,
    pub(super) correct: usize,
}

impl Scored {
    /// Returns the log-probabilities themselves.
    pub(super) fn values(&self) -> Vec<f32> {
        self.log_probabilities.clone().inner().into_data().try_into_vec().expect("log-probabilities are f32")
    }
}

/// Runs the model over a batch.
pub(super) fn score(model: &Model, batch: &Batch) -> Scored {
    let logits = model.logits(batch);
    let best = logits.clone().inner().argmax(1).into_data().convert::<i64>();
    let best = best.try_into_vec::<i64>().expect("converted to i64");
    let correct = best.iter().zip(&batch.targets).filter(|(best, target)| **best == i64::from(target.token)).count();
    let tokens: Vec<i32> = batch.targets.iter().map(|target| target.token.cast_signed()).collect();
    Scored { log_probabilities: fused::log_probabilities(logits, tokens), correct }
}

/// Sums the negative log-probabilities over a share of the step's tokens: shards add up to the step's mean.
pub(super) fn cross_entropy(scored: &Scored, step_tokens: usize) -> Tensor<1> {
    scored.log_probabilities.clone().sum().neg() / step_tokens as f64
}

/// Computes DPO's sigmoid loss, `-log sigmoid(beta * margin)` summed over the shard's pairs and divided by the step's.
///
/// A batch's sequences are chosen and rejected in turn; `reference` holds the same sums of the frozen model.
pub(super) fn preference(scored: &Scored, batch: &Batch, reference: &[f64], beta: f64, step_pairs: usize) -> Tensor<1> {
    let (pairs, targets) = (batch.sequences.len() / 2, batch.targets.len());
    // One row a pair: +1 at targets of the chosen, -1 at those of the rejected, so that what both share cancels exactly.
    let mut signs = vec![0.0_f32; pairs * targets];
    for (index, sequence) in batch.sequences.iter().enumerate() {
        for target in sequence {
            signs[index / 2 * targets + target] += if index % 2 == 0 { 1.0 } else { -1.0 };
        }
    }
    let device = scored.log_probabilities.device();
    let signs = Tensor::<2>::from_data(TensorData::new(signs, [pairs, targets]), &device);
    let offsets: Vec<f32> = reference.chunks_exact(2).map(|pair| (pair[0] - pair[1]) as f32).collect();
    let offsets = Tensor::<2>::from_data(TensorData::new(offsets, [pairs, 1]), &device);
    let margins = signs.matmul(scored.log_probabilities.clone()) - offsets;
    activation::log_sigmoid(margins * beta).sum().neg() / step_pairs as f64
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::models::Row;

    fn scored(values: &[f32]) -> (Scored, Tensor<2>) {
        let device = Device::flex().autodiff();
        let data = TensorData::new(values.to_vec(), [values.len(), 1]);
        let leaf = Tensor::<2>::from_data(data, &device).require_grad();
        (Scored { log_probabilities: leaf.clone(), correct: 0 }, leaf)
    }

    fn gradient(loss: &Tensor<1>, leaf: &Tensor<2>) -> Vec<f32> {
        leaf.grad(&loss.backward()).unwrap().into_data().try_to_vec().unwrap()
    }

    #[test]
    fn cross_entropy_is_the_mean_over_the_tokens_of_the_step() {
        let (scored, leaf) = scored(&[-1.0, -3.0]);
        let loss = cross_entropy(&scored, 8);
        assert_eq!(loss.clone().into_scalar::<f32>(), 0.5);
        assert_eq!(gradient(&loss, &leaf), [-0.125, -0.125]);
    }

    #[test]
    fn preference_follows_the_formula_and_what_is_shared_has_no_gradient() {
        // Targets: one shared, one of the chosen, two of the rejected.
        let batch = Batch::new(&[&Row::new(vec![1], vec![vec![5, 6], vec![5, 7, 8]])]);
        let (scored, leaf) = scored(&[-0.5, -1.0, -2.0, -0.25]);
        let loss = preference(&scored, &batch, &[-2.0, -1.5], 0.5, 2);
        // margin = (-1.0) - (-2.25) - (-2.0 + 1.5) = 1.75; loss = -ln sigmoid(0.875) / 2.
        let expected = (1.0 + (-0.875_f64).exp()).ln() / 2.0;
        assert!((f64::from(loss.clone().into_scalar::<f32>()) - expected).abs() < 1e-6);
        // d loss / d margin = -beta * sigmoid(-0.875) / 2.
        let slope = (-0.5 / (1.0 + 0.875_f64.exp()) / 2.0) as f32;
        let found = gradient(&loss, &leaf);
        for (found, expected) in found.iter().zip([0.0, slope, -slope, -slope]) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }
}
