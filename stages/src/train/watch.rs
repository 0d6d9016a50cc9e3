//! The observer of a training, and its result.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{Memory, TrainError};
use crate::models::{Model, Values};

/// Metrics of an optimiser step, or of the evaluation after it, as TRL logs them.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Number of this step, from 1.
    pub step: usize,
    /// Number of steps of the whole training.
    pub steps: usize,
    /// Number of epochs done, as a fraction.
    pub epoch: f64,
    /// Metrics under TRL's names: `loss`, `grad_norm`, `learning_rate`, `num_tokens`, ….
    pub metrics: BTreeMap<String, f64>,
}

/// Returned by an observer to stop the training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop;

/// Writes a checkpoint to resume from into a folder.
pub type Write<'a> = &'a mut dyn FnMut(&Path) -> Result<(), TrainError>;

/// Observes a training.
pub trait Watch {
    /// Observes a step, and may stop the training.
    ///
    /// # Errors
    /// The observer stops the training.
    fn step(&mut self, step: &Step) -> Result<(), Stop>;

    /// Observes an evaluation.
    fn evaluated(&mut self, _evaluation: &Step) {}

    /// Returns the folder of the latest checkpoint of the same training, if there is one.
    ///
    /// # Errors
    /// The files cannot be restored.
    fn resume(&mut self) -> Result<Option<PathBuf>, TrainError> {
        Ok(None)
    }

    /// Saves the checkpoint after a step, if one is due: calls `write` with an empty folder, and stores the folder.
    ///
    /// # Errors
    /// The files cannot be written or stored.
    fn save(&mut self, _step: usize, _write: Write<'_>) -> Result<(), TrainError> {
        Ok(())
    }

    /// Observes the memory estimate, before training starts.
    fn memory(&mut self, _memory: &Memory) {}

    /// Reports a warning.
    fn warn(&mut self, _message: &str) {}

    /// Observes the gradients of the first step, in the order of the names of their weights.
    fn first_gradients(&mut self, _names: &[String], _gradients: &[Values]) {}
}

/// A trained model with counts of its training.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The model, with its adapter if one was trained.
    pub model: Model,
    /// Counts of the training.
    pub summary: Summary,
}

/// Counts of a training.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Number of rows that were trained on.
    pub rows: usize,
    /// Number of rows among them that were cut to `max_length`.
    pub cut: usize,
    /// Number of rows that were dropped because cutting left no token to learn.
    pub dropped: usize,
    /// Number of optimiser steps.
    pub steps: usize,
    /// Number of tokens of all epochs, without padding.
    pub num_tokens: usize,
    /// Best value of `metric_for_best_model`; none without evaluations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_metric: Option<f64>,
    /// The step of that evaluation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_step: Option<usize>,
}
