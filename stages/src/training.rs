//! What `sft` and `dpo` share: training steps → progress and figures; a trained checkpoint → the stage's outputs.

use std::{collections::BTreeMap, time::Instant};

use engine::{Checkpoint, Context, Metrics, StageError};
use serde::Serialize;

use crate::{
    router::Router,
    train::{Step, Stop, Summary, TrainError, Trained},
};

/// Reports every step, and stops the training when the run is to end.
pub(crate) fn observe(ctx: &Context) -> impl FnMut(&Step) -> Result<(), Stop> + use<> {
    let ctx = ctx.clone();
    let started = Instant::now();
    move |step| {
        ctx.total(step.steps);
        ctx.figures(step);
        ctx.tick(|| {
            let figure = |name: &str| step.metrics.get(name).copied().unwrap_or(0.0);
            let rate = figure("num_tokens") / started.elapsed().as_secs_f64();
            format!("loss {:.3}, {rate:.0} tokens/s", figure("loss"))
        });
        ctx.check().map_err(|_| Stop)
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
struct Report<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    /// TRL's figures of the last step.
    last: &'a BTreeMap<String, f64>,
}

/// Keeps the trained checkpoint with its `router.json`, and the training's figures.
pub(crate) fn finish(ctx: &Context, trained: &Trained, router: &Router) -> Result<(Checkpoint, Metrics), StageError> {
    let Summary { dropped, cut, .. } = trained.summary;
    if dropped + cut > 0 {
        ctx.warn(format!("{dropped} rows are longer than `max_length` leaves room for and were left out, {cut} were cut"));
    }
    let folder = ctx.scratch().join("checkpoint");
    std::fs::create_dir_all(&folder)?;
    trained.checkpoint.save(&folder).map_err(StageError::failed)?;
    router.save(&folder)?;
    let report = Report { summary: &trained.summary, last: &BTreeMap::new() };
    Ok((Checkpoint::keep(ctx, &folder)?, Metrics::write(ctx, &report)?))
}
