//! Micro-batches in shards, each on its own thread. Takes rows; gives predictions. Then takes slopes; gives the sum of all gradients.
//!
//! The number of shards is a setting and not the number of cores, and gradients are added in the order of the shards, so that every machine
//! adds in the same order.

use std::thread;

use super::{
    gradients,
    head::Prediction,
    objective::Objective,
    pass::{self, Pass},
};
use crate::models::{Batch, Dropout, Model, Values, is_processor};

/// A part of a micro-batch that one thread computes.
pub(super) struct Shard {
    /// Indices of the shard's rows among all rows.
    pub(super) rows: Vec<usize>,
    /// The same rows, laid out as a batch.
    pub(super) batch: Batch,
}

/// A shard after its forward pass.
pub(super) struct Passed {
    /// A prediction of each target of the batch.
    pub(super) predictions: Vec<Prediction>,
    /// What the backward pass needs; none without targets.
    pass: Option<Pass>,
}

/// Splits a micro-batch into shards. Rows are sorted by width and taken in turn, so that shards have equal work and little padding. Each shard
/// has the length of the longest row of all, since positions that are scaled by it must be those of the whole micro-batch.
pub(super) fn split(objective: &dyn Objective, rows: &[usize], count: usize) -> Vec<Shard> {
    let mut rows = rows.to_vec();
    rows.sort_by_key(|&row| objective.width(row));
    let shard = |index: usize| {
        let rows: Vec<usize> = rows.iter().copied().skip(index).step_by(count).collect();
        Shard { batch: objective.lay_out(&rows), rows }
    };
    let mut shards: Vec<Shard> = (0..count.min(rows.len())).map(shard).collect();
    let longest = shards.iter().map(|shard| shard.batch.length()).max().unwrap_or(0);
    for shard in &mut shards {
        shard.batch.longest = longest;
    }
    shards
}

/// Runs the forward pass over each shard. Each has leaves of its own for the named weights: with shared leaves, the threads would share a graph
/// and wait for each other. `dropout` has the seed of the micro-batch.
pub(super) fn forward(
    model: &Model,
    names: &[String],
    shards: &[Shard],
    dropout: Option<Dropout>,
    gradient_checkpointing: bool,
) -> Vec<Passed> {
    each(model, shards.iter().enumerate(), |(index, shard)| {
        if shard.batch.targets.is_empty() {
            return Passed { predictions: Vec::new(), pass: None };
        }
        let dropout = dropout.map(|dropout| Dropout { seed: dropout.seed + index as u64, ..dropout });
        let model = model.with_parameters(model.parameters().clone().with_dropout(dropout));
        let (predictions, pass) = Pass::forward(model, names, &shard.batch, gradient_checkpointing);
        Passed { predictions, pass: Some(pass) }
    })
}

/// Runs the backward pass over each shard. Returns the summed gradients of the named weights in their order; none without targets.
pub(super) fn backward(
    model: &Model,
    names: &[String],
    shards: &[Shard],
    passed: Vec<Passed>,
    slopes: &[Vec<f32>],
) -> Vec<Values> {
    let parts = shards.iter().zip(passed).zip(slopes);
    let parts =
        each(model, parts, |((shard, passed), slopes)| passed.pass.map(|pass| pass.backward(names, &shard.batch, slopes)));
    let mut sum = Vec::new();
    for part in parts.into_iter().flatten() {
        gradients::add(&mut sum, part);
    }
    sum
}

/// Predicts the targets of each batch without gradients, to the same bits as in training.
pub(super) fn refer<'a>(model: &Model, batches: impl Iterator<Item = &'a Batch>) -> Vec<Vec<Prediction>> {
    predict(&model.with_parameters(model.parameters().with_leaves(&[])), batches)
}

/// Predicts the targets of each batch without gradients.
pub(super) fn predict<'a>(model: &Model, batches: impl Iterator<Item = &'a Batch>) -> Vec<Vec<Prediction>> {
    each(model, batches, |batch| pass::predict(model, batch))
}

/// Computes each part on its own thread. On another device than the processor, parts are computed one after another, since the device is
/// parallel itself.
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
