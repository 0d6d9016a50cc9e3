//! Why a training ended without a model.

use super::{memory::Memory, prepared::PrepareError};
use crate::models::{CheckpointError, DeviceError, InputError, Model};

/// Why a training ended without a model.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A setting is out of range.
    #[error("`{name}` {reason}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What it must be, as the rest of a sentence.
        reason: String,
    },
    /// Rows cannot be prepared.
    #[error(transparent)]
    Rows(#[from] PrepareError),
    /// The model or its adapter cannot be opened.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The device is not available.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// All rows were dropped.
    #[error("no row is left to train on: of {given}, {dropped} have nothing to learn within `max_length`{}", .max_length.map_or_else(String::new, |most| format!(" {most}")))]
    Nothing {
        /// Number of rows that were given.
        given: usize,
        /// Number of rows that were dropped.
        dropped: usize,
        /// Largest number of a row's tokens.
        max_length: Option<usize>,
    },
    /// A row has a token outside of the model's vocabulary.
    #[error("`{row}`: {source}")]
    Token {
        /// The ids of its examples.
        row: String,
        /// The error that names the token.
        source: InputError,
    },
    /// The prompt of a pair is empty, so that the first tokens of its answers cannot be predicted.
    #[error("`{row}`: the prompt has no tokens")]
    Prompt {
        /// The ids of its examples.
        row: String,
    },
    /// The loss or the gradient norm is not a finite number.
    #[error("step {step}: the {figure} is {value}; its rows were {}", listed(.rows))]
    Diverged {
        /// Number of the step, from 1.
        step: usize,
        /// `loss` or `grad_norm`.
        figure: &'static str,
        /// Its value.
        value: f64,
        /// The ids of the step's examples.
        rows: Vec<String>,
        /// The model before the step.
        last: Box<Model>,
    },
    /// There is too little memory.
    #[error("the training needs {needed} MiB of memory, and {by} leaves {available}; {memory}; what fits: {change}")]
    Memory {
        /// The estimate.
        memory: Memory,
        /// Memory that is needed besides the program's, in MiB.
        needed: u64,
        /// Memory that is available, in MiB.
        available: u64,
        /// What limits it.
        by: &'static str,
        /// The smallest change that fits.
        change: String,
    },
    /// The checkpoint to resume from does not fit the training.
    #[error("the training's checkpoint is damaged: {0}")]
    Damaged(String),
    /// The checkpoint to resume from cannot be written or read, with the error of the observer or the system.
    #[error("the training's checkpoint cannot be kept: {0}")]
    Unkept(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The observer stopped the training.
    #[error("stopped at step {step}")]
    Stopped {
        /// Number of the step, from 1.
        step: usize,
    },
}

/// Lists ids for a message. Of many ids, only the first ones are named.
pub(super) fn listed(ids: &[String]) -> String {
    const MOST: usize = 16;
    let shown: Vec<_> = ids.iter().take(MOST).map(|id| format!("`{id}`")).collect();
    let more = if ids.len() > MOST { format!(" and {} more", ids.len() - MOST) } else { String::new() };
    shown.join(", ") + &more
}
