//! The kinds that train. Takes a start, settings and examples; gives a trained checkpoint and the training's metrics.
//!
//! This file has what they share, and [`train`](crate::train) trains. Read `sft` first, then `preferences`, which `dpo` and `orpo` share, and
//! `report` (steps, checkpoints and cancellation). A method whose rows are pairs is added by one file such as `orpo` and a line in the crate's
//! `registry`.

pub(crate) mod dpo;
pub(crate) mod orpo;
mod preferences;
mod report;
pub(crate) mod sft;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use engine::{Ahead, Blame, Checkpoint, Context, Dataset, Metrics, ParamMistake, Row, StageError};
use serde::Serialize;
use serde_json::Value;

use crate::{
    models::{self, DeviceName, NewModel, Outline},
    router::Router,
    tokenizer::Tokenizer,
    train::{
        self, Load, Method, Sizes, Summary, TrainError, TrainingRun,
        prepared::{
            Prepared,
            columns::{self, Columns},
        },
        settings::{Settings, Training},
    },
};
use report::Report;

/// The start of a training, before weights are read.
pub(crate) struct Start {
    pub(crate) outline: Outline,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) router: Router,
    pub(crate) weights: Weights,
    /// The param that takes a folder to start from, if the kind has one.
    pub(crate) param: Option<&'static str>,
}

/// Where the first weights come from.
pub(crate) enum Weights {
    /// In a folder of Hugging Face files.
    Folder(PathBuf),
    /// Random numbers.
    New(NewModel),
}

impl Weights {
    /// Reads or draws the weights, quantises them and adds an adapter, as the settings say.
    fn open(self, tokenizer: Tokenizer, training: &Training) -> Result<models::Checkpoint, StageError> {
        let checkpoint = match self {
            Self::Folder(folder) => {
                let double_quant = training.quantization.as_ref().map(|quantization| quantization.double_quant);
                models::Checkpoint::load_stored(&folder, tokenizer, double_quant).map_err(StageError::failed)?
            }
            Self::New(new) => models::Checkpoint::new(&new, tokenizer, training.seed).map_err(StageError::failed)?,
        };
        if checkpoint.adapter.is_some() {
            return Ok(checkpoint);
        }
        let models::Checkpoint { model, tokenizer, .. } = checkpoint;
        let (model, adapter) = train::prepare(model, training).map_err(failed)?;
        Ok(models::Checkpoint { model, adapter, tokenizer })
    }
}

/// Finds settings that are out of range, and those of an adapter that a manifest cannot have: it takes an adapter from a checkpoint at a
/// port, not from a path.
pub(crate) fn mistakes<M: Method>(training: &Training, method: &M) -> Vec<ParamMistake> {
    let named = training.adapter.as_ref().is_some_and(|adapter| adapter.init_from.is_some());
    let help = "wire the checkpoint of the adapter to the input `checkpoint`";
    let named = named.then(|| ParamMistake::new(&["adapter", "init_from"], "`init_from` cannot be set in a manifest", help));
    let out_of_range = match train::check(training, method) {
        Err(error @ TrainError::Setting { name, .. }) => {
            Some(ParamMistake::new(&[name], error.to_string(), format!("`fingerpost kinds {}` explains it", M::NAME)))
        }
        _ => None,
    };
    named.into_iter().chain(out_of_range).collect()
}

/// Reads examples as the rows that a method prepares.
pub(crate) fn columns_of<E: Row>(examples: &Dataset<E>) -> Result<Vec<Columns>, StageError> {
    examples.rows()?.map(|row| row.map(|row| columns::of(&row))).collect()
}

/// Limits `max_length` to the positions of the model.
pub(crate) fn within(training: &Training, start: &Outline) -> Result<Training, StageError> {
    let most = start.max_position_embeddings().map_err(StageError::failed)?;
    Ok(Training { max_length: Some(training.max_length.map_or(most, |length| length.min(most))), ..training.clone() })
}

/// Returns the note on a training's memory: the upper bound, with rows of `max_length` tokens that are all learned.
pub(crate) fn forecast(start: &Outline, training: &Training, method: &impl Method) -> Vec<String> {
    let positions = start.max_position_embeddings().ok();
    let length = training.max_length.into_iter().chain(positions).min().unwrap_or(0);
    let Ok(sizes) = Sizes::of_outline(&train::prepared_outline(start.clone(), training)) else { return Vec::new() };
    vec![format!("memory: at most {}", train::estimate(&sizes, training, &Load::longest(method, length)))]
}

/// Returns the outline of the checkpoint at an input port: read from its files if it is cached, else as the stage before announces it.
pub(crate) fn outline_at(ctx: &Context, ahead: &Ahead, port: &str) -> Result<Option<Outline>, StageError> {
    if let Some(checkpoint) = ahead.artifact::<Checkpoint>(ctx, port) {
        let read = Outline::read(Path::new(port), |name| checkpoint.open_file(name).map_err(std::io::Error::other));
        return Ok(read.ok());
    }
    ahead.told(port).map(|told| serde_json::from_value(told.clone()).map_err(StageError::failed)).transpose()
}

/// Returns the outline of the checkpoint at the output port, for the notes of stages after this one.
pub(crate) fn checkpoint_outline(start: Option<Outline>, training: &Training) -> Result<BTreeMap<String, Value>, StageError> {
    let outline = start.map(|start| serde_json::to_value(train::prepared_outline(start, training)).map_err(StageError::failed));
    outline.map(|outline| Ok(("checkpoint".to_owned(), outline?))).into_iter().collect()
}

/// Converts the error of a training to the error of a stage.
pub(crate) fn failed(error: TrainError) -> StageError {
    match error {
        TrainError::Stopped { .. } => StageError::cancelled(),
        TrainError::Device(error) => error.into(),
        TrainError::Checkpoint(error) => error.into(),
        TrainError::Unkept(source) => {
            let said = source.downcast_ref::<StageError>();
            let blame = said.map_or(Blame::Environment, |error| error.blame);
            let help = said.and_then(|error| error.help.clone());
            StageError { blame, message: format!("the training's checkpoint cannot be kept: {source}"), help }
        }
        other => StageError::failed(other),
    }
}

/// Saves the last good checkpoint of a failed training with the run's record. Returns a help that says where it is and how to continue.
fn leave(
    ctx: &Context,
    step: usize,
    checkpoint: &models::Checkpoint,
    router: &Router,
    param: Option<&str>,
) -> Result<String, StageError> {
    const SMALLER: &str = "a smaller `learning_rate` or a longer `warmup` usually helps";
    let Some(folder) = ctx.leave(&format!("after-step-{step}"))? else { return Ok(SMALLER.to_owned()) };
    checkpoint.save(&folder)?;
    router.save(&folder)?;
    let folder = folder.display();
    Ok(match param {
        Some(param) => format!("{SMALLER}; the checkpoint before the step is saved; continue from it with `{param}: {folder}`"),
        None => format!("{SMALLER}; the checkpoint before the step is kept in `{folder}`"),
    })
}

/// The metrics of a training. They contain no times, so that equal work gives equal bytes.
#[derive(Serialize)]
struct Figures<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    /// TRL's metrics of the last step.
    last: &'a BTreeMap<String, f64>,
    /// TRL's metrics of the last evaluation.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    evaluated: &'a BTreeMap<String, f64>,
}

/// Trains, and stores the checkpoint with its `router.json` and the training's metrics.
pub(crate) fn train<M: Method>(
    ctx: &Context,
    start: Start,
    settings: &Settings<M>,
    mut rows: Prepared<M::Row>,
    mut validation: Option<Prepared<M::Row>>,
) -> Result<(Checkpoint, Metrics), StageError> {
    let Start { outline, tokenizer, router, weights, param } = start;
    if outline.adapter.is_some() && settings.training.adapter.is_some() {
        let error = StageError::failed("the checkpoint has an adapter, and `adapter` asks for another");
        return Err(error.help("leave `adapter` out to train the existing one further"));
    }
    if let Some(warning) = train::check_memory(&outline, settings, &rows).map_err(failed)? {
        ctx.warn(warning);
    }
    let device = settings.training.device.settled().map_err(|error| failed(error.into()))?;
    if device != DeviceName::Cpu {
        ctx.say(format!("computed on `{device}`"));
    }
    let models::Checkpoint { model, adapter, tokenizer } = weights.open(tokenizer, &settings.training)?;
    let mut report = Report::new(ctx, settings.training.save_steps);
    let evaluation = validation.as_mut();
    let trained = match train::run(TrainingRun { model, settings, rows: &mut rows, evaluation, watch: &mut report }) {
        Ok(trained) => trained,
        Err(error) => {
            let last = if let TrainError::Diverged { step, last, .. } = &error { Some((*step, last)) } else { None };
            let help = match last {
                None => return Err(failed(error)),
                Some((1, _)) => "nothing was learned before it: look at the rows, and at the base's weights".to_owned(),
                Some((step, last)) => {
                    let kept = models::Checkpoint { model: (**last).clone(), adapter, tokenizer };
                    leave(ctx, step - 1, &kept, &router, param)?
                }
            };
            return Err(failed(error).help(help));
        }
    };
    let Summary { dropped, cut, steps, best_metric, best_step, .. } = trained.summary;
    if let (Some(metric), Some(best)) = (best_metric, best_step) {
        let name = settings.training.metric_for_best_model.as_deref().unwrap_or("eval_loss");
        let early =
            if steps < report.steps { format!("stopped after step {steps} of {}; ", report.steps) } else { String::new() };
        let taken = if settings.training.load_best_model_at_end { ", whose weights are taken" } else { "" };
        ctx.say(format!("{early}{name} was best after step {best}{taken}: {metric:.4}"));
    }
    if dropped + cut > 0 {
        ctx.warn(format!("{dropped} rows are longer than `max_length` leaves room for and were left out, {cut} were cut"));
    }
    let folder = ctx.scratch().join("checkpoint");
    std::fs::create_dir_all(&folder)?;
    models::Checkpoint { model: trained.model, adapter, tokenizer }.save(&folder)?;
    router.save(&folder)?;
    let figures = Figures { summary: &trained.summary, last: &report.last, evaluated: &report.evaluated };
    Ok((Checkpoint::keep(ctx, &folder)?, Metrics::write(ctx, &figures)?))
}
