//! The objective of a method: rows → a batch; the model's predictions → the loss, its slopes, and the metrics to log.
//!
//! A slope is the derivative of the loss by the log-probability of a target. Every loss here is a function of these alone.

use super::head::Prediction;
use crate::models::{Batch, Model};

/// Rows and the loss over them.
pub trait Objective: Sync {
    /// Returns the number of rows.
    fn rows(&self) -> usize;

    /// Returns the number of tokens that are computed for a row.
    fn width(&self, row: usize) -> usize;

    /// Returns the number of tokens of a row as TRL counts them: for a pair, of both answers with the prompt each.
    fn tokens(&self, row: usize) -> usize;

    /// Returns the number of tokens of a row that are learned.
    fn targets(&self, row: usize) -> usize;

    /// Lays rows out as a batch.
    fn lay_out(&self, rows: &[usize]) -> Batch;

    /// Computes a micro-batch's part of the loss of its step.
    fn weigh(&self, scored: &[Scored<'_>], step: Share) -> Weighed;

    /// Names the metrics that [`weigh`](Self::weigh) gives beside the loss.
    fn figures(&self) -> &'static [&'static str];

    /// Computes what a frozen reference predicts, before the first step. `batches` are the rows of all batches to come.
    fn begin(&mut self, _model: &Model, _batches: &[&[usize]]) {}

    /// Returns the reference, if it changes during the training.
    fn reference(&mut self) -> Option<&mut Model> {
        None
    }

    /// Updates such a reference after a step, counted from 1.
    fn follow(&mut self, _step: usize, _model: &Model) {}
}

/// A shard of a micro-batch and the model's predictions.
pub struct Scored<'a> {
    /// Its rows.
    pub rows: &'a [usize],
    /// The same rows, laid out.
    pub batch: &'a Batch,
    /// One for each target of the batch.
    pub predictions: &'a [Prediction],
}

/// The step that a micro-batch is a part of.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// Learned tokens of the whole step.
    pub targets: usize,
    /// Micro-batches of the step.
    pub micro_batches: usize,
}

/// Loss, slopes and metrics of a micro-batch.
pub struct Weighed {
    /// Its part of the step's loss, which is the sum of all parts.
    pub loss: f64,
    /// For each shard the slope of each target.
    pub slopes: Vec<Vec<f32>>,
    /// Metrics of this micro-batch under TRL's names; those of the step are their means.
    pub figures: Vec<(&'static str, f64)>,
}
