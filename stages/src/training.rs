//! What `sft` and `dpo` share: a start, settings and rows → a trained checkpoint and its figures, step by step.

use std::{collections::BTreeMap, time::Instant};

use engine::{Checkpoint, Context, Metrics, StageError};
use serde::Serialize;

use crate::{
    models,
    router::Router,
    train::{
        self, Step, Stop, Summary, TrainError, Watch,
        prepared::{Columns, Rows},
        settings::Settings,
    },
};

/// What a training starts from.
pub(crate) struct Start {
    pub(crate) checkpoint: models::Checkpoint,
    pub(crate) router: Router,
}

/// Reports every step, and stops the training when the run is to end.
struct Report {
    ctx: Context,
    started: Instant,
    /// Figures of the last step.
    last: BTreeMap<String, f64>,
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
}

/// Returns a row's columns as the preparation of rows takes them.
pub(crate) fn columns(row: &impl Serialize) -> Columns {
    let json = serde_json::to_value(row).expect("examples are texts under texts");
    serde_json::from_value(json).expect("an example is an object, and templates take any value")
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
    let Start { checkpoint: models::Checkpoint { model, tokenizer }, router } = start;
    let mut report = Report { ctx: ctx.clone(), started: Instant::now(), last: BTreeMap::new() };
    let trained = train::run(model, settings, &mut rows, None, &mut report).map_err(failed)?;
    let Summary { dropped, cut, .. } = trained.summary;
    if dropped + cut > 0 {
        ctx.warn(format!("{dropped} rows are longer than `max_length` leaves room for and were left out, {cut} were cut"));
    }
    let folder = ctx.scratch().join("checkpoint");
    std::fs::create_dir_all(&folder)?;
    models::Checkpoint { model: trained.model, tokenizer }.save(&folder).map_err(StageError::failed)?;
    router.save(&folder)?;
    let figures = Figures { summary: &trained.summary, last: &report.last };
    Ok((Checkpoint::keep(ctx, &folder)?, Metrics::write(ctx, &figures)?))
}
