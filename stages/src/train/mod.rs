//! Training of a decoder: a model, prepared rows and settings in; the trained model out, one observed step after another.
//!
//! ```text
//! start ──────────────────────────────┐
//! prepared → sft, dpo (an objective) → trainer → evaluation → best
//!                order, schedule ─────┘   └ shards → pass → predictions, head → optimizer
//! ```
//!
//! Before anything is loaded `memory` says what all this takes, and what to change where it is not there. `watch` is what is seen meanwhile.
//!
//! As TRL 1.16 does it, under its names. No result hangs on the number of cores.

mod dpo;
mod error;
mod evaluation;
mod gradients;
mod head;
mod memory;
mod objective;
pub mod optimizer;
mod order;
mod pass;
pub mod prepared;
mod recompute;
mod schedule;
pub mod settings;
mod sft;
mod shards;
mod start;
mod state;
mod trainer;
mod watch;

use burn::tensor::DType;

use crate::models::{Model, is_processor};
pub use error::TrainError;
use error::listed;
pub use memory::Memory;
pub(crate) use memory::{Load, Sizes, admit, estimate, used};
use objective::Objective;
use prepared::{Prepared, Rows};
pub use schedule::{
    Schedule, Scheduler,
    arguments::{Curve, Mode, SchedulerArguments, ThresholdMode},
};
use settings::{Method, Precision, Settings, Training};
use sft::Labelled;
pub use start::open;
pub(crate) use start::{foretold, prepare};
use state::Position;
use trainer::Trainer;
pub use watch::{Step, Stop, Summary, Trained, Watch, Write};

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
    watch.memory(&estimate(&Sizes::of_model(&model), training, &settings.method, &load));
    if is_processor(&device) && *model.parameters().device() == device {
        // Nothing else holds it: where its weights are trained, those of the file go.
        return at_home(model, settings, rows, evaluation, watch);
    }
    match at_home(model.on(&device), settings, rows, evaluation, watch) {
        Ok(trained) => Ok(Trained { model: home(model, trained.model), ..trained }),
        Err(TrainError::Diverged { step, figure, value, rows, last }) => {
            Err(TrainError::Diverged { step, figure, value, rows, last: Box::new(home(model, *last)) })
        }
        Err(error) => Err(error),
    }
}

/// Trains a model where it is.
fn at_home(
    mut model: Model,
    settings: &Settings,
    rows: &mut Rows,
    evaluation: Option<&Rows>,
    watch: &mut dyn Watch,
) -> Result<Trained, TrainError> {
    model.parameters_mut().compute_in_half(settings.training.precision == Precision::Bf16);
    match trained(model, settings, rows, evaluation, watch) {
        Ok(mut trained) => {
            trained.model.parameters_mut().compute_in_half(false);
            Ok(trained)
        }
        Err(TrainError::Diverged { step, figure, value, rows, mut last }) => {
            last.parameters_mut().compute_in_half(false);
            Err(TrainError::Diverged { step, figure, value, rows, last })
        }
        Err(error) => Err(error),
    }
}

/// Brings what was trained back to where the model was: the rest of it is still there, as its file holds it.
fn home(mut model: Model, trained: Model) -> Model {
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
            dpo::reference::check(method, training)?;
            let trainer = trainer(training, &prepared.ids, prepared.dropped)?;
            // What is noted in the rows is noted in all of them, and not in those alone that the steps reach.
            let noted: Vec<usize> = (0..prepared.rows.len()).filter(|_| method.precompute_ref_log_probs).collect();
            let micro_batches = trainer.micro_batches().chain(noted.chunks(training.batch_size));
            let mut objective = dpo::reference::pairs(&model, method, training, prepared, micro_batches)?;
            let mut evaluated = match evaluation {
                Some(Rows::Dpo(prepared)) if !prepared.rows.is_empty() => {
                    let all: Vec<usize> = (0..prepared.rows.len()).collect();
                    Some(dpo::reference::pairs(&model, method, training, prepared, all.chunks(training.eval_batch_size))?)
                }
                _ => None,
            };
            if method.precompute_ref_log_probs {
                dpo::reference::note(&mut prepared.rows, &objective);
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

/// Refuses rows with tokens that the model does not have.
fn known(model: &Model, objective: &dyn Objective, ids: &[String]) -> Result<(), TrainError> {
    (0..objective.rows()).try_for_each(|row| {
        model.check(&objective.lay_out(&[row])).map_err(|source| TrainError::Token { row: ids[row].clone(), source })
    })
}

#[cfg(test)]
mod tests;
