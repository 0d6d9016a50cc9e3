//! What a method makes of its rows: rows → a batch; what the model says of the batch → a loss, its slopes, and the figures to log.

use super::head::Prediction;
use crate::models::{Batch, Model};

/// Rows that a model learns from, and how.
pub trait Objective: Sync {
    /// Returns the number of rows.
    fn rows(&self) -> usize;

    /// Returns the number of tokens that are computed for a row.
    fn width(&self, row: usize) -> usize;

    /// Returns the number of tokens of a row as TRL counts them: those of both answers with the prompt each.
    fn tokens(&self, row: usize) -> usize;

    /// Returns the number of tokens of a row that are learned.
    fn targets(&self, row: usize) -> usize;

    /// Lays rows out.
    fn lay_out(&self, rows: &[usize]) -> Batch;

    /// Computes a micro-batch's part in the loss of its step.
    fn weigh(&self, scored: &[Scored<'_>], step: Share) -> Weighed;

    /// Names the figures that [`weigh`](Self::weigh) gives beside the loss.
    fn figures(&self) -> &'static [&'static str];

    /// Asks the reference about rows before the first step, if there is one. `batches` are those that will be computed.
    fn begin(&mut self, _model: &Model, _batches: &[&[usize]]) {}

    /// Returns the model that follows the trained one, where there is one.
    fn reference(&mut self) -> Option<&mut Model> {
        None
    }

    /// Takes note of the model after a step, counted from 1.
    fn follow(&mut self, _step: usize, _model: &Model) {}
}

/// A shard of a micro-batch and what the model says of it.
pub struct Scored<'a> {
    /// Its rows.
    pub rows: &'a [usize],
    /// The same rows, laid out.
    pub batch: &'a Batch,
    /// One for each of the batch's targets.
    pub predictions: &'a [Prediction],
}

/// What a micro-batch is a part of.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// Learned tokens of the whole step.
    pub targets: usize,
    /// Micro-batches of the step.
    pub micro_batches: usize,
}

/// What a micro-batch gives.
pub struct Weighed {
    /// Its part in the step's loss: the parts of all micro-batches add up to it.
    pub loss: f64,
    /// For each shard the derivative of that part by each target's log-probability.
    pub slopes: Vec<Vec<f32>>,
    /// Figures of this micro-batch under TRL's names; the step's are their mean.
    pub figures: Vec<(&'static str, f64)>,
}
