//! Training of a decoder: rows and settings in, a checkpoint out, one observed step after another.

pub mod decay;
mod dpo;
mod loss;
pub mod losses;
mod optimizer;
pub mod prepared;
mod schedule;
pub mod settings;
mod sft;
mod shards;
mod trainer;

use std::collections::BTreeMap;

pub use dpo::{DpoSettings, dpo};
pub use schedule::{Curve, Schedule, Scheduler, SchedulerArguments};
use serde::Serialize;
pub use sft::{SftSettings, sft};

use crate::models::Checkpoint;
use crate::tokenizer::TokenizerError;

/// One optimiser step, as TRL logs it.
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

/// Takes note of each step, and may stop the training.
pub type Observe<'a> = &'a mut dyn FnMut(&Step) -> Result<(), Stop>;

/// A trained checkpoint and what was done to get it.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The new weights, with the tokenizer of the start.
    pub checkpoint: Checkpoint,
    /// What was trained on.
    pub summary: Summary,
}

/// Counts of a training.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Rows trained on.
    pub rows: usize,
    /// Rows among them that were cut to `max_length`.
    pub cut: usize,
    /// Rows left out: nothing to learn was left of them after cutting (DPO: chosen and rejected are equal).
    pub dropped: usize,
    /// Optimiser steps.
    pub steps: usize,
    /// Tokens computed in all epochs, padding not counted.
    pub num_tokens: usize,
}

/// Says why a training ended without a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A setting is out of its range.
    #[error("`{name}` {reason}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What it must be.
        reason: String,
    },
    /// A conversation cannot be rendered.
    #[error("row {row}: {source}")]
    Row {
        /// Index of the row, from 0.
        row: usize,
        /// What is wrong with it.
        source: TokenizerError,
    },
    /// No row is left to train on.
    #[error("no row is left to train on: of {given}, {dropped} have nothing to learn within `max_length` {max_length}")]
    Nothing {
        /// Rows given.
        given: usize,
        /// Rows left out.
        dropped: usize,
        /// Most tokens of a row.
        max_length: usize,
    },
    /// The loss or the gradient became infinite or not a number.
    #[error("step {step}: the {figure} is {value}; a smaller `learning_rate` usually helps")]
    Diverged {
        /// Number of the step, from 1.
        step: usize,
        /// What diverged: `loss` or `grad_norm`.
        figure: &'static str,
        /// Its value.
        value: f64,
    },
    /// The observer stopped the training.
    #[error("stopped at step {step}")]
    Stopped {
        /// Number of the step, from 1.
        step: usize,
    },
}

#[cfg(test)]
mod tests;
