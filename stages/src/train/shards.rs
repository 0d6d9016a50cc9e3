//! One micro-batch over threads: rows in, what the model says of them out; then slopes in, the sum of all gradients out.
//!
//! The number of shards is a setting and never the number of cores, and gradients are added in the order of the shards: sums are then taken in
//! the same order on every machine.

use std::thread;

use burn::tensor::{Tensor, TensorData};

use super::optimizer;
use super::predictions::{self, Prediction};
use super::recompute::Kept;
use crate::models::{Batch, Dropout, Model, Parameters};

/// One thread's part of a micro-batch.
pub(super) struct Shard {
    /// Indices of its rows among all rows.
    pub(super) rows: Vec<usize>,
    /// The same rows, laid out.
    pub(super) batch: Batch,
}

/// A shard after its forward pass.
pub(super) struct Passed {
    /// What the model says of the batch's targets.
    pub(super) predictions: Vec<Prediction>,
    /// What the backward pass needs; a shard without targets has nothing to go back from.
    graph: Option<Graph>,
}

/// What one shard's backward pass starts from: the pass, and the shares of its logits.
struct Graph {
    pass: Pass,
    shares: Vec<f32>,
}

#[expect(clippy::large_enum_variant, reason = "a shard has one")]
enum Pass {
    /// One graph over all layers.
    Whole { parameters: Parameters, logits: Tensor<2> },
    /// The layers' inputs, from which their graphs are made again.
    Kept(Kept),
}

impl Pass {
    fn forward(model: Model, names: &[String], batch: &Batch, gradient_checkpointing: bool) -> Self {
        if gradient_checkpointing {
            return Self::Kept(Kept::forward(model, names, batch));
        }
        let model = model.with_parameters(model.parameters().with_leaves(names));
        Self::Whole { logits: model.logits(batch), parameters: model.parameters().clone() }
    }

    fn logits(&self) -> Tensor<2> {
        match self {
            Self::Whole { logits, .. } => logits.clone(),
            Self::Kept(kept) => kept.logits(),
        }
    }

    fn backward(self, names: &[String], batch: &Batch, slope: Tensor<2>) -> Vec<Vec<f32>> {
        match self {
            Self::Whole { parameters, logits } => parameters.gradients(names, (logits * slope).sum().backward()),
            Self::Kept(kept) => kept.backward(names, batch, slope),
        }
    }
}

/// Runs the model forward over each shard, with fresh leaves for the named weights: threads that shared them would join their graphs, and
/// wait for each other. `dropout` has the micro-batch's seed.
pub(super) fn forward(
    model: &Model,
    names: &[String],
    shards: &[Shard],
    dropout: Option<Dropout>,
    gradient_checkpointing: bool,
) -> Vec<Passed> {
    each(shards.iter().enumerate(), |(index, shard)| {
        if shard.batch.targets.is_empty() {
            return Passed { predictions: Vec::new(), graph: None };
        }
        let dropout = dropout.map(|dropout| Dropout { seed: dropout.seed + index as u64, ..dropout });
        let model = model.with_parameters(model.parameters().clone().with_dropout(dropout));
        let pass = Pass::forward(model, names, &shard.batch, gradient_checkpointing);
        let mut shares = pass.logits().inner().into_data().try_into_vec::<f32>().expect("logits are f32");
        let predictions = predictions::predict(&mut shares, &shard.batch.targets);
        Passed { predictions, graph: Some(Graph { pass, shares }) }
    })
}

/// Goes back through each shard's graph, and returns the gradients of the named weights in their order; empty where no shard has a target.
pub(super) fn backward(names: &[String], shards: &[Shard], passed: Vec<Passed>, slopes: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let parts = shards.iter().zip(passed).zip(slopes);
    let gradients = each(parts, |((shard, passed), slopes)| {
        let Graph { pass, mut shares } = passed.graph?;
        predictions::descend(&mut shares, &shard.batch.targets, slopes);
        let logits = pass.logits();
        let slope = Tensor::<2>::from_data(TensorData::new(shares, logits.dims()), &logits.inner().device());
        Some(pass.backward(names, &shard.batch, slope))
    });
    let mut sum = Vec::new();
    for gradients in gradients.into_iter().flatten() {
        optimizer::add(&mut sum, gradients);
    }
    sum
}

/// Runs a model over each batch as in training, so that it says the same in every bit, but without gradients.
pub(super) fn refer<'a>(model: &Model, batches: impl Iterator<Item = &'a Batch>) -> Vec<Vec<Prediction>> {
    let model = model.with_parameters(model.parameters().with_leaves(&[]));
    each(batches, |batch| predictions_of(batch, || model.logits(batch).inner()))
}

/// Runs the model over each batch without gradients.
pub(super) fn predict<'a>(model: &Model, batches: impl Iterator<Item = &'a Batch>) -> Vec<Vec<Prediction>> {
    each(batches, |batch| predictions_of(batch, || model.logits(batch)))
}

fn predictions_of(batch: &Batch, logits: impl Fn() -> Tensor<2>) -> Vec<Prediction> {
    if batch.targets.is_empty() {
        return Vec::new();
    }
    let mut logits = logits().into_data().try_into_vec::<f32>().expect("logits are f32");
    predictions::predict(&mut logits, &batch.targets)
}

/// Computes each part on a thread of its own.
fn each<P: Send, R: Send>(parts: impl Iterator<Item = P>, compute: impl Fn(P) -> R + Sync) -> Vec<R> {
    let compute = &compute;
    thread::scope(|scope| {
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || compute(part))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a shard's thread does not panic")).collect()
    })
}
