//! Training of a decoder: a model, prepared rows and settings in; the trained model out, one observed step after another.
//!
//! ```text
//! start ──────────────────────────────┐
//! prepared → sft, dpo (an objective) → trainer → evaluation → best
//!                order, schedule ─────┘   └ shards → pass → predictions, head → optimizer
//! ```
//!
//! Before the first step `memory` says what all this takes, and what to change where it is not there.
//!
//! As TRL 1.16 does it, under its names. No result hangs on the number of cores.

mod best;
mod decay;
mod dpo;
mod evaluation;
mod gradients;
mod head;
mod losses;
mod memory;
mod objective;
mod optimizer;
mod order;
mod pass;
mod plateau;
mod predictions;
pub mod prepared;
mod recompute;
mod schedule;
mod scheduler_arguments;
pub mod settings;
mod sft;
mod shards;
mod start;
mod state;
mod trainer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::DType;
pub use memory::Memory;
pub(crate) use memory::{Load, Sizes, estimate, used};
pub use schedule::{Schedule, Scheduler};
pub use scheduler_arguments::{Curve, Mode, SchedulerArguments, ThresholdMode};
use serde::Serialize;
pub use start::open;
pub(crate) use start::{held, prepare};

use self::dpo::Pairs;
use self::objective::Objective;
use self::prepared::{DpoRow, PrepareError, Prepared, Rows};
use self::settings::{Dpo, DpoLoss, Method, Precision, Reference, Settings, Training};
use self::sft::Labelled;
use self::state::Position;
use self::trainer::Trainer;
use crate::models::{CheckpointError, DeviceError, Model, Values, is_processor};

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

/// Says why a training ended without a model.
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
    /// Rows cannot be prepared.
    #[error(transparent)]
    Rows(#[from] PrepareError),
    /// The model or its adapter cannot be opened.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The device cannot be taken.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// No row is left to train on.
    #[error("no row is left to train on: of {given}, {dropped} have nothing to learn within `max_length`{}", .max_length.map_or_else(String::new, |most| format!(" {most}")))]
    Nothing {
        /// Rows given.
        given: usize,
        /// Rows left out.
        dropped: usize,
        /// Most tokens of a row.
        max_length: Option<usize>,
    },
    /// A row has a token that the model does not have.
    #[error("`{row}`: {source}")]
    Token {
        /// The ids of its examples.
        row: String,
        /// Which.
        source: crate::models::InputError,
    },
    /// Nothing stands before the answers of a pair, so that their first tokens are predicted by nothing.
    #[error("`{row}`: the prompt has no tokens")]
    Prompt {
        /// The ids of its examples.
        row: String,
    },
    /// The loss or the gradient became infinite or not a number.
    #[error("step {step}: the {figure} is {value}; its rows were {}", listed(.rows))]
    Diverged {
        /// Number of the step, from 1.
        step: usize,
        /// What diverged: `loss` or `grad_norm`.
        figure: &'static str,
        /// Its value.
        value: f64,
        /// The ids of the step's examples.
        rows: Vec<String>,
        /// The model as it was before the step.
        last: Box<Model>,
    },
    /// More memory is needed than there is.
    #[error(
        "the training needs {needed} MiB of memory beside the weights, and {by} leaves {available}; {memory}; what fits: {change}"
    )]
    Memory {
        /// The estimate.
        memory: Memory,
        /// What is needed beside what is taken already, in MiB.
        needed: u64,
        /// What is left, in MiB.
        available: u64,
        /// What leaves no more.
        by: &'static str,
        /// The smallest change that fits.
        change: String,
    },
    /// What is needed to go on after a stop cannot be kept, or is damaged.
    #[error("what the training needs to go on after a stop: {0}")]
    Kept(String),
    /// The observer stopped the training.
    #[error("stopped at step {step}")]
    Stopped {
        /// Number of the step, from 1.
        step: usize,
    },
}

/// Trains a model on prepared rows on the device of the settings, and notes in the rows what was asked of the reference beforehand. The trained
/// model is where the given one is.
///
/// # Errors
/// A device that is not there, settings out of range, no row left, a token that the model does not have, a loss that is not a number, or the observer's stop.
pub fn run(
    model: Model,
    settings: &Settings,
    rows: &mut Rows,
    evaluation: Option<&Rows>,
    watch: &mut dyn Watch,
) -> Result<Trained, TrainError> {
    let training = &settings.training;
    let device = training.device.open()?;
    if training.precision == Precision::Bf16 && !is_processor(&device) && !device.supports_dtype(DType::BF16) {
        let reason = format!("is bf16, which `device: {}` does not compute in; take `f32`, or `device: cpu`", training.device);
        return Err(TrainError::Setting { name: "precision", reason });
    }
    let load = Load::of(rows, training.max_length);
    let sizes = Sizes::of_model(&model, training);
    let question = memory::Question { sizes, config: model.config(), settings: training, method: &settings.method, load };
    watch.memory(&question.memory());
    if is_processor(&device)
        && let Some(available) = memory::Available::now()
        && let Some(warning) = question.check(available)?
    {
        watch.warn(&warning);
    }
    let mut there = model.on(&device);
    there.parameters_mut().compute_in_half(training.precision == Precision::Bf16);
    match trained(there, settings, rows, evaluation, watch) {
        Ok(trained) => Ok(Trained { model: home(model, trained.model), ..trained }),
        Err(TrainError::Diverged { step, figure, value, rows, last }) => {
            Err(TrainError::Diverged { step, figure, value, rows, last: Box::new(home(model, *last)) })
        }
        Err(error) => Err(error),
    }
}

/// Brings what was trained back to where the model was: the rest of it is still there, as its file holds it.
fn home(mut model: Model, mut trained: Model) -> Model {
    trained.parameters_mut().compute_in_half(false);
    if model.parameters().device() == trained.parameters().device() {
        return trained;
    }
    let names = model.trained_names();
    model.parameters_mut().thaw(&names);
    for name in names {
        if let Some(weight) = trained.parameters().get(&name) {
            model.parameters_mut().set(&name, weight.clone().into_values());
        }
    }
    model
}

fn trained(
    model: Model,
    settings: &Settings,
    rows: &mut Rows,
    evaluation: Option<&Rows>,
    watch: &mut dyn Watch,
) -> Result<Trained, TrainError> {
    let training = &settings.training;
    match (&settings.method, rows) {
        (Method::Sft(method), Rows::Sft(prepared)) => {
            let trainer = trainer(training, &prepared.ids, prepared.dropped)?.with_dropout();
            let mut objective = Labelled { rows: &prepared.rows, settings: method };
            known(&model, &objective, &prepared.ids)?;
            let mut evaluated = match evaluation {
                Some(Rows::Sft(prepared)) if !prepared.rows.is_empty() => {
                    Some(Labelled { rows: &prepared.rows, settings: method })
                }
                _ => None,
            };
            let evaluated = evaluated.as_mut().map(|objective| objective as &mut dyn Objective);
            let (model, position) = trainer.run(model, &mut objective, evaluated, watch)?;
            Ok(Trained { model, summary: summary(prepared, position) })
        }
        (Method::Dpo(method), Rows::Dpo(prepared)) => {
            check_preferences(method, training)?;
            let trainer = trainer(training, &prepared.ids, prepared.dropped)?;
            // What is noted in the rows is noted in all of them, and not in those alone that the steps reach.
            let noted: Vec<usize> = (0..prepared.rows.len()).filter(|_| method.precompute_ref_log_probs).collect();
            let micro_batches = trainer.micro_batches().chain(noted.chunks(training.batch_size));
            let mut objective = pairs(&model, method, training, prepared, micro_batches)?;
            let mut evaluated = match evaluation {
                Some(Rows::Dpo(prepared)) if !prepared.rows.is_empty() => {
                    let all: Vec<usize> = (0..prepared.rows.len()).collect();
                    Some(pairs(&model, method, training, prepared, all.chunks(training.eval_batch_size))?)
                }
                _ => None,
            };
            if method.precompute_ref_log_probs {
                note(&mut prepared.rows, &objective);
            }
            let evaluated = evaluated.as_mut().map(|objective| objective as &mut dyn Objective);
            let (model, position) = trainer.run(model, &mut objective, evaluated, watch)?;
            Ok(Trained { model, summary: summary(prepared, position) })
        }
        (Method::Sft(_), Rows::Dpo(_)) | (Method::Dpo(_), Rows::Sft(_)) => {
            Err(TrainError::Setting { name: "stage", reason: "is another method than the rows are prepared for".into() })
        }
    }
}

fn trainer<'a>(training: &'a Training, ids: &'a [String], dropped: usize) -> Result<Trainer<'a>, TrainError> {
    if ids.is_empty() {
        return Err(TrainError::Nothing { given: dropped, dropped, max_length: training.max_length });
    }
    Trainer::new(training, ids)
}

fn summary<R>(prepared: &Prepared<R>, position: Position) -> Summary {
    let Prepared { rows, cut, dropped, .. } = prepared;
    let Position { step, num_tokens, best, .. } = position;
    let best_metric = best.metric();
    let best_step = best_metric.map(|_| best.step);
    Summary { rows: rows.len(), cut: *cut, dropped: *dropped, steps: step, num_tokens, best_metric, best_step }
}

/// Lists ids for a message; of many the first ones.
fn listed(ids: &[String]) -> String {
    const MOST: usize = 16;
    let shown: Vec<_> = ids.iter().take(MOST).map(|id| format!("`{id}`")).collect();
    let more = if ids.len() > MOST { format!(" and {} more", ids.len() - MOST) } else { String::new() };
    shown.join(", ") + &more
}

/// Refuses rows with tokens that the model does not have.
fn known(model: &Model, objective: &dyn Objective, ids: &[String]) -> Result<(), TrainError> {
    (0..objective.rows()).try_for_each(|row| {
        model.check(&objective.lay_out(&[row])).map_err(|source| TrainError::Token { row: ids[row].clone(), source })
    })
}

/// Lays pairs out with their reference, which is asked about those of these micro-batches.
fn pairs<'a, 'b>(
    model: &Model,
    method: &'a Dpo,
    training: &Training,
    prepared: &Prepared<DpoRow>,
    micro_batches: impl Iterator<Item = &'b [usize]>,
) -> Result<Pairs<'a>, TrainError> {
    if let Some(row) = prepared.rows.iter().position(|row| row.prompt_ids.is_empty()) {
        return Err(TrainError::Prompt { row: prepared.ids[row].clone() });
    }
    let mut pairs = Pairs::new(&prepared.rows, method, training.max_length);
    known(model, &pairs, &prepared.ids)?;
    match method.reference {
        Reference::None => {}
        _ if method.sync_ref_model => {
            let mut reference = model.clone();
            reference.parameters_mut().thaw(&model.trained_names());
            pairs.follow_from(reference);
        }
        Reference::BaseModel => {
            let (mut base, biases) = (model.without_adapter(), model.trained_biases());
            base.take(&biases, model);
            if biases.is_empty() || method.precompute_ref_log_probs {
                pairs.hold_to(&base, micro_batches, training.shards);
            } else {
                pairs.ask_base(base);
            }
        }
        Reference::StartAdapter => pairs.hold_to(model, micro_batches, training.shards),
    }
    Ok(pairs)
}

/// Writes into rows what the reference says of them.
fn note(rows: &mut [DpoRow], pairs: &Pairs<'_>) {
    for (row, [chosen, rejected]) in rows.iter_mut().zip(pairs.known().unwrap_or_default()) {
        row.ref_chosen_logps = Some(*chosen);
        row.ref_rejected_logps = Some(*rejected);
    }
}

/// Refuses settings of preferences that are out of their range, or that contradict each other.
fn check_preferences(method: &Dpo, training: &Training) -> Result<(), TrainError> {
    let refuse = |name, reason: &str| Err(TrainError::Setting { name, reason: reason.into() });
    let has = |loss: DpoLoss| method.loss_type.contains(&loss);
    if !(method.beta.is_finite() && method.beta > 0.0) {
        return Err(TrainError::Setting { name: "beta", reason: format!("is {} and must be above 0", method.beta) });
    }
    if method.loss_type.is_empty() {
        return refuse("loss_type", "names no loss");
    }
    if method.loss_weights.as_ref().is_some_and(|weights| weights.len() != method.loss_type.len()) {
        return refuse("loss_weights", "must have one for each of `loss_type`");
    }
    if !(0.0..1.0).contains(&method.label_smoothing) {
        return refuse("label_smoothing", "must be from 0 to below 1");
    }
    if has(DpoLoss::ExoPair) && method.label_smoothing == 0.0 {
        return refuse("label_smoothing", "must be above 0 with `exo_pair`, 0.001 for example");
    }
    if has(DpoLoss::Robust) && method.label_smoothing >= 0.5 {
        return refuse("label_smoothing", "must be below 0.5 with `robust`");
    }
    if method.ld_alpha.is_some_and(|alpha| !(0.0..=1.0).contains(&alpha)) {
        return refuse("ld_alpha", "must be from 0 to 1");
    }
    if has(DpoLoss::Discopop) && !(method.discopop_tau.is_finite() && method.discopop_tau > 0.0) {
        return refuse("discopop_tau", "must be above 0");
    }
    if method.sync_ref_model {
        if training.adapter.is_some() {
            return refuse("sync_ref_model", "is for training in full: with an adapter the reference is the frozen start");
        }
        if method.precompute_ref_log_probs {
            return refuse("sync_ref_model", "cannot be with `precompute_ref_log_probs`: the reference changes");
        }
        if method.ref_model_sync_steps == 0 {
            return refuse("ref_model_sync_steps", "must be at least 1");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
