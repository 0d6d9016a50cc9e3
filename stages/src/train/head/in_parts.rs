//! The head on the processor, in parts, if the logits of all targets take too much memory. Takes activations of each target; gives
//! predictions. Then takes slopes; gives gradients.
//!
//! Logits are computed for some targets at a time, and nothing of their size is kept. As in `on_device`, the derivative of a log-probability by
//! its target's activations is computed in the forward pass, before its slope is known, and multiplied by the slope later. If the head
//! is trained too, its logits are computed a second time.

use burn::tensor::{Tensor, TensorData};

use super::{Prediction, inject_slopes, to_memory};
use crate::{
    models::{Model, Target},
    train::gradients::Gradients,
};

/// Logits that are computed at a time (64 MiB). If there are no more, they are computed as a whole, which is faster.
const LOGITS: usize = 1 << 24;

/// What the backward pass needs.
pub(crate) struct Parted {
    /// Number of targets whose logits are computed at a time.
    size: usize,
    /// `[targets, hidden_size]`: derivatives of the log-probabilities by the activations if the head is not trained, else the activations.
    kept: Tensor<2>,
    trained: bool,
}

/// Returns the number of targets whose logits are computed at a time.
pub(crate) fn at_a_time(vocab_size: usize, targets: usize) -> usize {
    (LOGITS / vocab_size.max(1)).max(1).min(targets)
}

/// Returns whether the logits of this many targets are computed in parts.
pub(crate) fn is_needed(model: &Model, targets: usize) -> bool {
    at_a_time(model.vocab_size(), targets) < targets
}

/// Predicts each target from `[targets, hidden_size]` without gradients.
pub(crate) fn predict(model: &Model, hidden: &Tensor<2>, targets: &[Target]) -> Vec<Prediction> {
    predict_by(at_a_time(model.vocab_size(), targets.len()), model, hidden, targets)
}

fn predict_by(size: usize, model: &Model, hidden: &Tensor<2>, targets: &[Target]) -> Vec<Prediction> {
    let of_part = |(hidden, targets): (Tensor<2>, &[Target])| super::predict(&mut to_memory(model.head(hidden).inner()), targets);
    parts(size, hidden, targets).flat_map(of_part).collect()
}

/// Predicts as [`predict`] does, and returns what the backward pass needs. `trained` says whether the model has leaves.
pub(crate) fn forward(model: &Model, hidden: Tensor<2>, targets: &[Target], trained: bool) -> (Vec<Prediction>, Parted) {
    forward_by(at_a_time(model.vocab_size(), targets.len()), model, hidden, targets, trained)
}

fn forward_by(size: usize, model: &Model, hidden: Tensor<2>, targets: &[Target], trained: bool) -> (Vec<Prediction>, Parted) {
    if trained {
        return (predict_by(size, model, &hidden, targets), Parted { size, kept: hidden, trained });
    }
    let (mut all, mut derivatives) = (Vec::new(), Vec::new());
    for (hidden, targets) in parts(size, &hidden, targets) {
        // Slopes of 1 give the derivatives of the log-probabilities themselves.
        let Through { predictions, of_hidden, .. } = through(model, hidden, targets, &vec![1.0; targets.len()]);
        all.extend(predictions);
        derivatives.push(of_hidden);
    }
    (all, Parted { size, kept: Tensor::cat(derivatives, 0), trained })
}

impl Parted {
    /// Returns the gradient of the activations, `[targets, hidden_size]`, and adds those of the model's leaves to `found`.
    pub(crate) fn backward(
        self,
        model: &Model,
        names: &[String],
        targets: &[Target],
        slopes: &[f32],
        found: &mut Gradients,
    ) -> Tensor<2> {
        if !self.trained {
            let slopes = TensorData::new(slopes.to_vec(), [slopes.len(), 1]);
            return self.kept.clone() * Tensor::from_data(slopes, &self.kept.device());
        }
        let mut derivatives = Vec::new();
        for ((hidden, targets), slopes) in parts(self.size, &self.kept, targets).zip(slopes.chunks(self.size)) {
            let Through { of_hidden, mut of_leaves, .. } = through(model, hidden, targets, slopes);
            derivatives.push(of_hidden);
            found.add(model.parameters(), names, &mut of_leaves);
        }
        Tensor::cat(derivatives, 0)
    }
}

/// The results of the head's forward and backward pass for some targets.
struct Through {
    predictions: Vec<Prediction>,
    /// `[targets, hidden_size]`: the gradient of the activations.
    of_hidden: Tensor<2>,
    /// The gradients of the model's leaves.
    of_leaves: burn::tensor::Gradients,
}

fn through(model: &Model, hidden: Tensor<2>, targets: &[Target], slopes: &[f32]) -> Through {
    let leaf = hidden.autodiff().require_grad();
    let logits = model.head(leaf.clone());
    let mut probabilities = to_memory(logits.clone().inner());
    let predictions = super::predict(&mut probabilities, targets);
    let mut of_leaves = inject_slopes(logits, probabilities, targets, slopes).backward();
    let of_hidden = leaf.grad_remove(&mut of_leaves).expect("logits depend on the activations");
    Through { predictions, of_hidden, of_leaves }
}

/// Splits activations and their targets into parts of `size`.
fn parts<'a>(size: usize, hidden: &'a Tensor<2>, targets: &'a [Target]) -> impl Iterator<Item = (Tensor<2>, &'a [Target])> {
    let part = move |(index, targets): (usize, &'a [Target])| (hidden.clone().narrow(0, index * size, targets.len()), targets);
    targets.chunks(size.max(1)).enumerate().map(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::tests::tiny;
    use crate::models::{Batch, EMBEDDING, Values, weight_of};

    /// Compares parts of two targets each with one graph over all targets.
    #[test]
    fn parts_say_what_the_whole_says() {
        let model = tiny(3).model;
        let mut batch = Batch::plain(&[vec![5, 6, 7, 8, 9]]).unwrap();
        batch.targets = (0..5).map(|place| Target { place, token: 3 * place as u32 + 1 }).collect();
        let slopes = [0.5, -1.0, 0.25, 2.0, -0.125];
        let names = [weight_of(EMBEDDING)];
        for trained in [false, true] {
            let ends = model.parameters().of_layer(None).with_leaves(if trained { &names } else { &[] });
            let tail = model.with_parameters(ends);
            let hidden = model.hidden(&batch);
            let run = |size: usize| {
                let mut found = Gradients::default();
                let (predictions, parted) = forward_by(size, &tail, hidden.clone(), &batch.targets, trained);
                let names = if trained { &names[..] } else { &[] };
                let slope = parted.backward(&tail, names, &batch.targets, &slopes, &mut found);
                let gradients = found.in_order(model.parameters(), names);
                (predictions, [vec![Values::of(slope)], gradients].concat())
            };
            let ((some, parted), (all, whole)) = (run(2), run(5));
            for (some, all) in some.iter().zip(&all) {
                assert!((some.log_probability - all.log_probability).abs() < 1e-5 && some.correct == all.correct);
            }
            assert_eq!((some.len(), parted.len()), (5, if trained { 2 } else { 1 }));
            for (parted, whole) in parted.iter().zip(&whole) {
                let (parted, whole) = (parted.to_vec(), whole.to_vec());
                assert!(whole.iter().any(|value| value.abs() > 1e-3) && parted.len() == whole.len());
                assert!(parted.iter().zip(&whole).all(|(one, other)| (one - other).abs() < 1e-5), "{trained}");
            }
            // The reference is one graph from the activations to the logits, which keeps no derivatives.
            let leaf = hidden.clone().autodiff().require_grad();
            let logits = tail.head(leaf.clone());
            let mut probabilities = to_memory(logits.clone().inner());
            crate::train::head::predict(&mut probabilities, &batch.targets);
            let mut gradients = inject_slopes(logits, probabilities, &batch.targets, &slopes).backward();
            let expected = Values::of(leaf.grad_remove(&mut gradients).unwrap()).to_vec();
            assert!(expected.iter().zip(parted[0].to_vec()).all(|(one, other)| (one - other).abs() < 1e-5));
        }
    }
}
