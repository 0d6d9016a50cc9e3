//! Estimates of a training's peak memory, by part. Takes sizes, settings and rows; gives bytes, and the smallest change of the settings
//! that fits.
//!
//! ```text
//! sizes (of a model, of an outline) ─┐
//! settings, rows (their widths) ─────→ estimate → check against what is available
//! ```
//!
//! It counts what the computation keeps: each token's activations in each layer until the backward pass, which frees them while it computes
//! gradients. Read `sizes` (of a model) first, then this file (the estimate and the check), `device` (activations on other devices), `available`
//! (the machine's memory) and `change` (which settings to change).
//!
//! Estimated and measured peaks in MiB, by what `run` says first and what its live line says last, batches of 8 rows (DPO: 4 pairs): 2.2 M
//! decoder of 4 layers, SFT full 133 and 133, `LoRA` 119 and 111, DPO full 110 and 100; 27.8 M decoder of 8 layers, SFT full 836 and 856, `LoRA`
//! 641 and 618, DPO full 682 and 699. `cargo run --release --example training_speed -- tiny|small sft|dpo full|lora 4` prints both as well.
//! Of a 1.9 M decoder of the same layers, by `debug train` and the peak that the kernel counts: SFT full 107 and 102, in bfloat16 166 and
//! 161, `LoRA` 95 and 86, in bfloat16 156 and 148, on 4 bits 90 and 81, both 137 and 130, full with layers computed again 75 and 84, in
//! bfloat16 90 and 98; of a 26.5 M decoder in bfloat16: full 1,387 and 1,489, `LoRA` 1,208 and 1,266; on 4 bits 521 and 504.

mod available;
mod change;
mod device;
mod sizes;

use std::fmt;

use super::{
    TrainError,
    head::in_parts,
    method::Method,
    prepared::Prepared,
    settings::{Precision, Settings, Training},
    start::prepared_outline,
};
use crate::models::{Outline, is_processor};
pub(crate) use available::{Available, used};
use sizes::F32;
pub(crate) use sizes::Sizes;

const MIB: u64 = 1 << 20;

/// The program itself, its tokenizer and free pages of the allocator.
const PROGRAM: u64 = 32 * MIB;

/// Tables of `[targets, vocabulary]` at the same time: logits, probabilities, their product, and the gradients of both.
const LOGIT_TABLES: u64 = 5;

/// Bytes of a training at its peak, by part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Weights, and copies of trained ones: of a synchronised reference, of the best evaluation.
    pub weights: u64,
    /// State of the optimiser.
    pub optimizer: u64,
    /// Accumulated gradients, if a step has more than one micro-batch.
    pub waiting: u64,
    /// Gradients of one micro-batch, a set for each shard.
    pub gradients: u64,
    /// Activations that layers keep for the backward pass, and rounded copies of weights.
    pub activations: u64,
    /// Logits and tables of their size.
    pub logits: u64,
    /// Free pages of a device's allocator.
    pub pages: u64,
}

impl Memory {
    /// Returns the peak. The backward pass frees activations and logits while it makes gradients.
    #[must_use]
    pub fn peak(&self) -> u64 {
        let passing = (self.activations.saturating_add(self.logits)).max(self.gradients);
        [PROGRAM, self.weights, self.optimizer, self.waiting, self.pages]
            .iter()
            .fold(passing, |sum, part| sum.saturating_add(*part))
    }
}

/// Writes the parts in MiB.
impl fmt::Display for Memory {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes.div_ceil(MIB);
        write!(
            out,
            "{} MiB at the peak: weights {}, optimiser {}, gradients {}, activations {}, logits {}",
            mib(self.peak()),
            mib(self.weights),
            mib(self.optimizer),
            mib(self.waiting + self.gradients),
            mib(self.activations),
            mib(self.logits)
        )
    }
}

/// Sizes of rows, and what their method adds to those of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    /// The number of tokens of each row, and of those among them that are learned. The longest row is first.
    rows: Vec<(u64, u64)>,
    /// Number of sequences of a row.
    sequences: u64,
    /// Number of copies of the trained weights.
    copies: u64,
    /// Whether there are more rows like the last one.
    more: bool,
}

impl Load {
    /// Measures rows.
    pub(crate) fn of<M: Method>(method: &M, rows: &[M::Row], max_length: Option<usize>) -> Self {
        let sizes = rows.iter().map(|row| M::size(row, max_length));
        let mut rows: Vec<_> = sizes.map(|[tokens, targets]| (tokens as u64, targets as u64)).collect();
        rows.sort_unstable_by(|one, other| other.cmp(one));
        Self { rows, sequences: M::SEQUENCES, copies: method.copies(), more: false }
    }

    /// Takes rows of the full length, each token learned: the upper bound.
    pub(crate) fn longest<M: Method>(method: &M, length: usize) -> Self {
        let tokens = M::SEQUENCES * length as u64;
        Self { rows: vec![(tokens, tokens)], sequences: M::SEQUENCES, copies: method.copies(), more: true }
    }

    /// Counts the tokens and the learned tokens of the largest micro-batch.
    fn largest(&self, settings: &Training) -> (u64, u64) {
        let most = settings.max_length.map_or(u64::MAX, |length| self.sequences * length as u64);
        let more = self.rows.last().filter(|_| self.more).into_iter().cycle();
        let rows = self.rows.iter().chain(more).take(settings.batch_size);
        rows.fold((0, 0), |(tokens, learned), &(width, targets)| (tokens + width.min(most), learned + targets.min(most)))
    }
}

/// Estimates the memory of a training.
pub(crate) fn estimate(sizes: &Sizes, settings: &Training, load: &Load) -> Memory {
    let (tokens, targets) = load.largest(settings);
    let trained = sizes.trained * F32;
    let state_sizes = sizes.trained_shapes.iter().map(|shape| settings.optimizer.state_size(shape));
    let state = state_sizes.fold(0, u64::saturating_add);
    let shards = settings.shards.min(settings.batch_size) as u64;
    // If there are many targets, each shard computes the logits of some at a time.
    let of_shard = in_parts::at_a_time(sizes.vocabulary as usize, targets.div_ceil(shards.max(1)) as usize) as u64;
    let at_once = targets.min(shards * of_shard);
    let copies = load.copies + u64::from(settings.load_best_model_at_end);
    let rounded = settings.precision == Precision::Bf16;
    let memory = Memory {
        weights: sizes.weights + copies * trained,
        optimizer: state.saturating_mul(F32),
        waiting: if settings.gradient_accumulation_steps > 1 { trained } else { 0 },
        gradients: shards * trained,
        ..Memory::default()
    };
    if settings.device.is_accelerator() {
        return device::with_activations(memory, sizes, settings, [tokens, targets]);
    }
    let (mut kept, mut copies_of_dense) = (sizes.kept, 0);
    if rounded {
        (kept, copies_of_dense) = (kept.saturating_add(sizes.kept_rounded), sizes.dense);
    }
    if settings.gradient_checkpointing {
        // With checkpointing, the input of each layer is kept, and the activations of one layer at a time.
        let layers = sizes.layers.max(1);
        (kept, copies_of_dense) = (sizes.layers * sizes.hidden + kept / layers, copies_of_dense / layers);
    }
    if rounded {
        copies_of_dense += sizes.dense_head;
    }
    Memory {
        weights: memory.weights + shards * sizes.block * F32,
        activations: tokens.saturating_mul(kept).saturating_add(shards * copies_of_dense).saturating_mul(F32),
        logits: at_once.saturating_mul(LOGIT_TABLES * sizes.vocabulary * F32),
        ..memory
    }
}

/// Checks before weights are loaded that a training's device has memory for it. Returns a warning if it is close.
///
/// # Errors
/// As [`Candidate::check`], or the device is not available.
pub(crate) fn check_memory<M: Method>(
    start: &Outline,
    settings: &Settings<M>,
    rows: &Prepared<M::Row>,
) -> Result<Option<String>, TrainError> {
    let Settings { training, method } = settings;
    let device = training.device.open()?;
    let available = if is_processor(&device) {
        Available::now()
    } else {
        training.device.room(&device).map(|bytes| Available { bytes, by: "the device" })
    };
    let candidate = Candidate { start, settings: training, load: Load::of(method, &rows.rows, training.max_length) };
    match available {
        Some(available) => candidate.check(available),
        None => Ok(None),
    }
}

/// A training whose memory is estimated, and the settings that are changed if it does not fit.
pub(crate) struct Candidate<'a> {
    /// The start, before it is quantised or gets an adapter.
    pub(crate) start: &'a Outline,
    pub(crate) settings: &'a Training,
    pub(crate) load: Load,
}

impl Candidate<'_> {
    /// Estimates the memory with these settings or others.
    ///
    /// # Errors
    /// The configuration cannot be read.
    pub(crate) fn memory(&self, settings: &Training) -> Result<Memory, String> {
        let sizes = Sizes::of_outline(&prepared_outline(self.start.clone(), settings))?;
        Ok(estimate(&sizes, settings, &self.load))
    }

    /// Compares the estimate, without the program, with the available memory. Returns a warning if it is close. A configuration that cannot be
    /// read passes, since loading it reports the mistake.
    ///
    /// # Errors
    /// There is too little memory. The error has the estimate by part and the smallest change of the settings that fits.
    pub(crate) fn check(&self, available: Available) -> Result<Option<String>, TrainError> {
        let Ok(memory) = self.memory(self.settings) else { return Ok(None) };
        let needed = memory.peak() - PROGRAM;
        let Available { bytes, by } = available;
        if needed > bytes {
            let change = change::smallest(self, bytes.saturating_add(PROGRAM));
            return Err(TrainError::Memory { memory, needed: needed.div_ceil(MIB), available: bytes / MIB, by, change });
        }
        let close = needed > bytes - bytes / 10;
        let (needed, left) = (needed.div_ceil(MIB), bytes / MIB);
        Ok(close.then(|| format!("memory may not suffice: {needed} MiB are needed, and {by} leaves {left}")))
    }
}

#[cfg(test)]
mod tests;
