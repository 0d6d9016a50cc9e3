//! Forward and backward pass of a batch. Takes a model and a batch; gives predictions. Then takes slopes; gives gradients.
//!
//! On the processor one graph covers the layers and the head, and the probabilities of the logits are in memory. The head has a graph of its own
//! with gradient checkpointing, with many logits, and on another device, where logits are computed for some targets at a time.

use burn::tensor::Tensor;

use super::{
    gradients::{Gradients, of_layer},
    head::{
        self, Prediction,
        in_parts::{self, Parted},
        on_device::{self, Head},
    },
    recompute::Checkpoints,
};
use crate::models::{Batch, Model, Parameters, Values, inject_gradient, is_processor};

/// A batch after its forward pass.
pub(super) struct Pass {
    /// The model, without leaves.
    model: Model,
    graph: Graph,
}

#[expect(clippy::large_enum_variant, reason = "a shard has one")]
enum Graph {
    /// One graph over all layers and the head, with the probabilities of its logits.
    Whole { leaves: Parameters, logits: Tensor<2>, probabilities: Vec<f32> },
    /// One graph for the layers, or for each layer, and one for the head.
    Parts { layers: Layers, ends: Parameters, end: End },
}

enum Layers {
    /// One graph over all layers.
    Whole { leaves: Parameters, hidden: Box<Tensor<2>> },
    /// The inputs of the layers, from which their graphs are computed again.
    Recomputed(Checkpoints),
}

#[expect(clippy::large_enum_variant, reason = "a shard has one")]
enum End {
    /// On the processor: the output of the layers as a leaf, and the logits with their probabilities.
    Memory { hidden: Tensor<2>, logits: Tensor<2>, probabilities: Vec<f32> },
    /// On the processor, with many logits.
    Parted(Parted),
    /// On another device.
    Head(Head),
}

impl Pass {
    /// Runs the forward pass for the batch's targets, at least one.
    pub(super) fn forward(
        model: Model,
        names: &[String],
        batch: &Batch,
        gradient_checkpointing: bool,
    ) -> (Vec<Prediction>, Self) {
        let leaves = |model: &Model| model.parameters().with_leaves(names);
        let here = is_processor(model.parameters().device());
        let many = here && in_parts::is_needed(&model, batch.targets.len());
        if here && !gradient_checkpointing && !many {
            let leaves = leaves(&model);
            let logits = model.with_parameters(leaves.clone()).logits(batch);
            let mut probabilities = head::to_memory(logits.clone().inner());
            let predictions = head::predict(&mut probabilities, &batch.targets);
            return (predictions, Self { model, graph: Graph::Whole { leaves, logits, probabilities } });
        }
        let (layers, hidden) = if gradient_checkpointing {
            let (inputs, hidden) = Checkpoints::forward(model.clone(), batch);
            (Layers::Recomputed(inputs), hidden)
        } else {
            let leaves = leaves(&model);
            let hidden = model.with_parameters(leaves.clone()).hidden(batch);
            (Layers::Whole { leaves, hidden: Box::new(hidden.clone()) }, hidden.inner())
        };
        let own = of_layer(names, None);
        let ends = model.parameters().of_layer(None).with_leaves(&own);
        let tail = model.with_parameters(ends.clone());
        let (predictions, end) = if many {
            let (predictions, parted) = in_parts::forward(&tail, hidden, &batch.targets, !own.is_empty());
            (predictions, End::Parted(parted))
        } else if here {
            let hidden = hidden.autodiff().require_grad();
            let logits = tail.head(hidden.clone());
            let mut probabilities = head::to_memory(logits.clone().inner());
            (head::predict(&mut probabilities, &batch.targets), End::Memory { hidden, logits, probabilities })
        } else {
            let (predictions, head) = on_device::forward(&tail, hidden, &batch.targets, !own.is_empty());
            (predictions, End::Head(head))
        };
        (predictions, Self { model, graph: Graph::Parts { layers, ends, end } })
    }

    /// Runs the backward pass from the slope of each target. Returns the gradients of the named weights in order.
    pub(super) fn backward(self, names: &[String], batch: &Batch, slopes: &[f32]) -> Vec<Values> {
        let Self { model, graph } = self;
        let mut found = Gradients::default();
        match graph {
            Graph::Whole { leaves, logits, probabilities } => {
                found.add(&leaves, names, &mut head::inject_slopes(logits, probabilities, &batch.targets, slopes).backward());
            }
            Graph::Parts { layers, ends, end } => {
                let own = of_layer(names, None);
                let slope = match end {
                    End::Memory { hidden, logits, probabilities } => {
                        let mut gradients = head::inject_slopes(logits, probabilities, &batch.targets, slopes).backward();
                        found.add(&ends, &own, &mut gradients);
                        hidden.grad_remove(&mut gradients)
                    }
                    End::Parted(parted) => {
                        let tail = model.with_parameters(ends);
                        Some(parted.backward(&tail, &own, &batch.targets, slopes, &mut found))
                    }
                    End::Head(head) => Some(head.backward(&model.with_parameters(ends), &own, slopes, &mut found)),
                };
                match (layers, slope) {
                    (Layers::Whole { leaves, hidden }, Some(slope)) => {
                        found.add(&leaves, names, &mut inject_gradient(*hidden, slope).backward());
                    }
                    (Layers::Recomputed(inputs), Some(slope)) => inputs.backward(names, batch, slope, &mut found),
                    (_, None) => {}
                }
            }
        }
        found.in_order(model.parameters(), names)
    }
}

/// Predicts the targets of a batch without gradients.
pub(super) fn predict(model: &Model, batch: &Batch) -> Vec<Prediction> {
    if batch.targets.is_empty() {
        return Vec::new();
    }
    if is_processor(model.parameters().device()) {
        if in_parts::is_needed(model, batch.targets.len()) {
            return in_parts::predict(model, &model.hidden(batch).inner(), &batch.targets);
        }
        return head::predict(&mut head::to_memory(model.logits(batch).inner()), &batch.targets);
    }
    on_device::predict(model, &model.hidden(batch).inner(), &batch.targets)
}
