//! What `sft` and `dpo` share: a start, settings and rows → a trained checkpoint and its figures, step by step.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use engine::{Checkpoint, Context, Metrics, ParamMistake, StageError};
use serde::Serialize;

use crate::{
    models::{self, DeviceName},
    router::Router,
    train::{
        self, Step, Stop, Summary, TrainError, Watch, Write,
        prepared::Rows,
        settings::{Adapter, Settings},
    },
};

/// What a training starts from.
pub(crate) struct Start {
    pub(crate) checkpoint: models::Checkpoint,
    pub(crate) router: Router,
}

/// Finds what a manifest may not say of an adapter.
pub(crate) fn mistakes(adapter: Option<&Adapter>) -> Vec<ParamMistake> {
    let named = adapter.is_some_and(|adapter| adapter.init_from.is_some());
    let field = vec!["adapter".to_owned(), "init_from".to_owned()];
    let message = "an adapter to go on with is not named by a path".to_owned();
    let help = "it comes in with its checkpoint".to_owned();
    if named { vec![ParamMistake { field, message, help }] } else { Vec::new() }
}

/// Reports every step, and stops the training when the run is to end.
struct Report {
    ctx: Context,
    started: Instant,
    /// When what is needed to go on was kept last.
    kept: Instant,
    save_steps: Option<usize>,
    /// Figures of the last step.
    last: BTreeMap<String, f64>,
}

/// How long a training goes on before what it needs to go on is kept, where no number of steps is set.
const KEPT_EVERY: Duration = Duration::from_mins(1);

impl Report {
    /// Makes an empty folder.
    fn folder(&self, name: &str) -> std::io::Result<PathBuf> {
        let folder = self.ctx.scratch().join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

impl Watch for Report {
    fn step(&mut self, step: &Step) -> Result<(), Stop> {
        self.ctx.total(step.steps);
        self.ctx.figures(step);
        self.ctx.tick(|| {
            let figure = |name: &str| step.metrics.get(name).copied().unwrap_or(0.0);
            let rate = figure("num_tokens") / self.started.elapsed().as_secs_f64();
            format!("loss {:.3}, {rate:.0} tokens/s", figure("loss"))
        });
        self.last.clone_from(&step.metrics);
        self.ctx.check().map_err(|_| Stop)
    }

    fn kept(&mut self) -> Result<Option<PathBuf>, TrainError> {
        let folder = self.folder("kept").map_err(|error| TrainError::Kept(error.to_string()))?;
        let step = self.ctx.latest_checkpoint(&folder).map_err(|error| TrainError::Kept(error.to_string()))?;
        Ok(step.map(|_| folder))
    }

    fn keep(&mut self, step: usize, write: Write<'_>) -> Result<(), TrainError> {
        let due = match self.save_steps {
            Some(every) => step.is_multiple_of(every.max(1)),
            None => self.kept.elapsed() >= KEPT_EVERY,
        };
        if !due {
            return Ok(());
        }
        let folder = self.folder("keep").map_err(|error| TrainError::Kept(error.to_string()))?;
        write(&folder)?;
        self.ctx.checkpoint(step as u64, &folder).map_err(|error| TrainError::Kept(error.to_string()))?;
        self.kept = Instant::now();
        Ok(())
    }
}

/// Says for the engine why a training ended.
pub(crate) fn failed(error: TrainError) -> StageError {
    match error {
        TrainError::Stopped { .. } => StageError::Cancelled,
        other => StageError::failed(other),
    }
}

/// Figures of a whole training. No time is among them: equal work gives equal bytes.
#[derive(Serialize)]
struct Figures<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    /// TRL's figures of the last step.
    last: &'a BTreeMap<String, f64>,
}

/// Trains, and keeps the trained checkpoint with its `router.json`, and the training's figures.
pub(crate) fn train(
    ctx: &Context,
    start: Start,
    settings: &Settings,
    mut rows: Rows,
) -> Result<(Checkpoint, Metrics), StageError> {
    let Start { checkpoint: models::Checkpoint { model, adapter, tokenizer }, router } = start;
    let (model, adapter) = match (adapter, &settings.training.adapter) {
        (Some(_), Some(_)) => {
            let error = StageError::failed("the checkpoint has an adapter, and `adapter` asks for another");
            return Err(error.help("leave `adapter` out, and the one that is there is trained on"));
        }
        (Some(adapter), None) => (train::held(model, &settings.training), Some(adapter)),
        (None, _) => train::prepare(model, &settings.training).map_err(failed)?,
    };
    let device = settings.training.device.settled().map_err(|error| failed(error.into()))?;
    if device != DeviceName::Cpu {
        ctx.say(format!("computed on `{device}`"));
    }
    let (started, save_steps) = (Instant::now(), settings.training.save_steps);
    let mut report = Report { ctx: ctx.clone(), started, kept: started, save_steps, last: BTreeMap::new() };
    let trained = train::run(model, settings, &mut rows, None, &mut report).map_err(failed)?;
    let Summary { dropped, cut, .. } = trained.summary;
    if dropped + cut > 0 {
        ctx.warn(format!("{dropped} rows are longer than `max_length` leaves room for and were left out, {cut} were cut"));
    }
    let folder = ctx.scratch().join("checkpoint");
    std::fs::create_dir_all(&folder)?;
    models::Checkpoint { model: trained.model, adapter, tokenizer }.save(&folder).map_err(StageError::failed)?;
    router.save(&folder)?;
    let figures = Figures { summary: &trained.summary, last: &report.last };
    Ok((Checkpoint::keep(ctx, &folder)?, Metrics::write(ctx, &figures)?))
}
