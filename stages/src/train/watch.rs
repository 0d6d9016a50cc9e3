//! What is seen of a training while it runs, and what comes out of it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{Memory, TrainError};
use crate::models::{Model, Values};

/// One optimiser step, or one evaluation after it, as TRL logs it.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Number of this step, from 1.
    pub step: usize,
    /// Number of steps of the whole training.
    pub steps: usize,
    /// Epochs done, with the fraction.
    pub epoch: f64,
    /// Figures under TRL's names: `loss`, `grad_norm`, `learning_rate`, `num_tokens`, ….
    pub metrics: BTreeMap<String, f64>,
}

/// What the observer of a training returns to end it early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop;

/// Writes what is needed to go on into a folder.
pub type Write<'a> = &'a mut dyn FnMut(&Path) -> Result<(), TrainError>;

/// Observes a training.
pub trait Watch {
    /// Takes note of a step, and may stop the training.
    ///
    /// # Errors
    /// The wish to stop.
    fn step(&mut self, step: &Step) -> Result<(), Stop>;

    /// Takes note of an evaluation.
    fn evaluated(&mut self, _evaluation: &Step) {}

    /// Returns the folder of what an earlier run of the same training kept last, where there was one.
    ///
    /// # Errors
    /// Files that cannot be brought back.
    fn kept(&mut self) -> Result<Option<PathBuf>, TrainError> {
        Ok(None)
    }

    /// Has what is needed to go on behind a step written into an empty folder, if it is time to keep it.
    ///
    /// # Errors
    /// Files that cannot be written or kept.
    fn keep(&mut self, _step: usize, _write: Write<'_>) -> Result<(), TrainError> {
        Ok(())
    }

    /// Takes note of what the training is estimated to take of memory, before it takes it.
    fn memory(&mut self, _memory: &Memory) {}

    /// Takes note of what a person should know.
    fn warn(&mut self, _message: &str) {}

    /// Takes note of the first step's gradients, by the names of the weights.
    fn first_gradients(&mut self, _names: &[String], _gradients: &[Values]) {}
}

/// A trained model and what was done to get it.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The model, with its adapter on where one was trained.
    pub model: Model,
    /// What was trained on.
    pub summary: Summary,
}

/// Counts of a training.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Rows trained on.
    pub rows: usize,
    /// Rows among them that were cut to `max_length`.
    pub cut: usize,
    /// Rows left out: nothing to learn was left of them after cutting (DPO: chosen and rejected are equal).
    pub dropped: usize,
    /// Optimiser steps that were taken.
    pub steps: usize,
    /// Tokens learned from in all epochs, padding not counted.
    pub num_tokens: usize,
    /// The best figure that an evaluation had, by `metric_for_best_model`; none where nothing was evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_metric: Option<f64>,
    /// The step after which it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_step: Option<usize>,
}
