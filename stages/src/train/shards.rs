//! One micro-batch over threads: rows in, what the model says of them out; then slopes in, the sum of all gradients out.
//!
//! The number of shards is a setting and never the number of cores, and gradients are added in the order of the shards: sums are then taken in
//! the same order on every machine.

use std::thread;

use burn::tensor::{Tensor, TensorData};

use super::head::{self, Head};
use super::optimizer;
use super::predictions::{self, Prediction};
use crate::models::{Batch, Dropout, Model, Values, is_processor};

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

struct Graph {
    /// With leaves.
    model: Model,
    end: End,
}

/// Where a graph ends, and what its gradient is made of.
enum End {
    /// On the processor: at the logits, whose shares are in memory.
    Logits { logits: Tensor<2>, shares: Vec<f32> },
    /// On another device: at what the head is given.
    Hidden { hidden: Tensor<2>, head: Head },
}

/// Runs the model forward over each shard, with fresh leaves for the named weights: threads that shared them would join their graphs, and
/// wait for each other. `dropout` has the micro-batch's seed.
pub(super) fn forward(model: &Model, names: &[String], shards: &[Shard], dropout: Option<Dropout>) -> Vec<Passed> {
    each(model, shards.iter().enumerate(), |(index, shard)| {
        if shard.batch.targets.is_empty() {
            return Passed { predictions: Vec::new(), graph: None };
        }
        let dropout = dropout.map(|dropout| Dropout { seed: dropout.seed + index as u64, ..dropout });
        let model = model.with_parameters(model.parameters().with_leaves(names).with_dropout(dropout));
        let (predictions, end) = if is_processor(model.parameters().device()) {
            let logits = model.logits(&shard.batch);
            let mut shares = taken(logits.clone().inner());
            (predictions::predict(&mut shares, &shard.batch.targets), End::Logits { logits, shares })
        } else {
            let hidden = model.hidden(&shard.batch);
            let (predictions, head) = head::forward(&model, hidden.clone().inner(), &shard.batch.targets, names);
            (predictions, End::Hidden { hidden, head })
        };
        Passed { predictions, graph: Some(Graph { model, end }) }
    })
}

/// Goes back through each shard's graph, and returns the gradients of the named weights in their order; empty where no shard has a target.
pub(super) fn backward(
    model: &Model,
    names: &[String],
    shards: &[Shard],
    passed: Vec<Passed>,
    slopes: &[Vec<f32>],
) -> Vec<Values> {
    let parts = shards.iter().zip(passed).zip(slopes);
    let gradients = each(model, parts, |((shard, passed), slopes)| {
        let Graph { model, end } = passed.graph?;
        let mut gradients = match end {
            End::Logits { logits, mut shares } => {
                predictions::descend(&mut shares, &shard.batch.targets, slopes);
                let slope = Tensor::<2>::from_data(TensorData::new(shares, logits.dims()), model.parameters().device());
                model.parameters().gradients(names, (logits * slope).sum().backward())
            }
            End::Hidden { hidden, head } => {
                let (slope, mut gradients) = head.backward(&model, names, slopes);
                optimizer::merge(&mut gradients, model.parameters().gradients(names, (hidden * slope).sum().backward()));
                gradients
            }
        };
        let parameters = model.parameters();
        Some(
            names
                .iter()
                .zip(&mut gradients)
                .map(|(name, found)| found.take().unwrap_or_else(|| parameters.zeros(name)))
                .collect(),
        )
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
    predict(&model, batches)
}

/// Runs the model over each batch without gradients.
pub(super) fn predict<'a>(model: &Model, batches: impl Iterator<Item = &'a Batch>) -> Vec<Vec<Prediction>> {
    each(model, batches, |batch| {
        if batch.targets.is_empty() {
            return Vec::new();
        }
        if is_processor(model.parameters().device()) {
            return predictions::predict(&mut taken(model.logits(batch).inner()), &batch.targets);
        }
        head::predict(model, model.hidden(batch).inner(), &batch.targets)
    })
}

fn taken(logits: Tensor<2>) -> Vec<f32> {
    logits.into_data().try_into_vec().expect("logits are f32")
}

/// Computes each part on a thread of its own; on another device than the processor one after another, for that has threads enough.
fn each<P: Send, R: Send>(model: &Model, parts: impl Iterator<Item = P>, compute: impl Fn(P) -> R + Sync) -> Vec<R> {
    if !is_processor(model.parameters().device()) {
        return parts.map(compute).collect();
    }
    let compute = &compute;
    thread::scope(|scope| {
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || compute(part))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a shard's thread does not panic")).collect()
    })
}
