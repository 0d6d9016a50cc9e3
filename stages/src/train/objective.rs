//! What the objective of a method is. Takes rows and the model's predictions; gives batches, and the loss, its slopes and the metrics to log.
//!
//! A slope is the derivative of the loss by the log-probability of a target. Every loss is a function of these log-probabilities alone.

use super::head::Prediction;
use crate::models::{Batch, Model};

/// Rows and the loss over them.
pub trait Objective: Sync {
    /// Returns the number of rows.
    fn rows(&self) -> usize;

    /// Returns the number of tokens that are computed for a row.
    fn width(&self, row: usize) -> usize;

    /// Returns the number of tokens of a row as TRL counts them: for a pair, those of both answers, each with the prompt.
    fn tokens(&self, row: usize) -> usize;

    /// Returns the number of tokens of a row that are learned.
    fn targets(&self, row: usize) -> usize;

    /// Lays rows out as a batch.
    fn lay_out(&self, rows: &[usize]) -> Batch;

    /// Computes a micro-batch's part of the loss of its step.
    fn weigh(&self, scored: &[Scored<'_>], step: Share) -> Weighed;

    /// Names the metrics that [`weigh`](Self::weigh) gives beside the loss.
    fn figures(&self) -> &'static [&'static str];

    /// Computes the predictions of a frozen reference, before the first step. `batches` are the rows of all batches to come.
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
    /// The shard's rows, by their indices.
    pub rows: &'a [usize],
    /// The same rows, laid out as a batch.
    pub batch: &'a Batch,
    /// A prediction of each target of the batch.
    pub predictions: &'a [Prediction],
}

/// The step that a micro-batch is a part of.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// Number of learned tokens of the whole step.
    pub targets: usize,
    /// Number of micro-batches of the step.
    pub micro_batches: usize,
}

/// Loss, slopes and metrics of a micro-batch.
pub struct Weighed {
    /// The micro-batch's part of the step's loss, which is the sum of all parts.
    pub loss: f64,
    /// The slope of each target, by shard.
    pub slopes: Vec<Vec<f32>>,
    /// Metrics of this micro-batch under TRL's names; those of the step are their means.
    pub figures: Vec<(&'static str, f64)>,
}
