//! Forecasts. Takes a plan; gives what its stages would buy, and what a person should read before the run.

use std::sync::Arc;

use super::{Decision, Plan, PlannedStage, Request, inputs, notes};
use crate::{
    contract::{
        context::{Context, Reuse, Shared},
        error::StageError,
        forecast::Forecast,
        mistake::ParamMistake,
    },
    resolve::{Pipeline, ResolvedStage},
};

/// Adds to every stage that is to run what it would buy, as far as its inputs exist, and what else a person should read before the
/// run, such as the variables that are not set.
pub(crate) fn forecast(
    plan: &mut Plan,
    pipeline: &Pipeline,
    shared: &Arc<Shared>,
    request: &Request,
    unset: Vec<(usize, ParamMistake)>,
) -> Result<(), StageError> {
    let mut notes = notes::notes(plan, pipeline, shared)?;
    for (stage, ParamMistake { message, help, .. }) in unset {
        notes.entry(stage).or_default().push(format!("before it can run: {message}; {help}"));
    }
    let forecasts = plan.stages.iter().map(|planned| one(plan, planned, pipeline, shared, request));
    let forecasts: Vec<_> = forecasts.collect::<Result<_, _>>()?;
    for (planned, forecast) in plan.stages.iter_mut().zip(forecasts) {
        planned.forecast = forecast;
        if let Some(notes) = notes.remove(&planned.stage).filter(|notes| !notes.is_empty()) {
            planned.forecast.get_or_insert_default().notes.extend(notes);
        }
    }
    Ok(())
}

pub(super) fn one(
    plan: &Plan,
    planned: &PlannedStage,
    pipeline: &Pipeline,
    shared: &Arc<Shared>,
    request: &Request,
) -> Result<Option<Forecast>, StageError> {
    let Decision::Run { .. } = planned.decision else { return Ok(None) };
    let stage = &pipeline.stages[planned.stage];
    for file in stage.files() {
        file.keep(&shared.store)?;
    }
    let result = |producer| {
        let producer = plan.stages.iter().find(|planned| planned.stage == producer)?;
        match &producer.decision {
            Decision::Hit { result, .. } => Some(result),
            _ => None,
        }
    };
    let inputs = inputs(stage, result)?;
    let context = context(shared, stage, request.reuse(planned.stage))?;
    Ok(Some(stage.kind.forecast(&context, &stage.settled, inputs)?))
}

pub(crate) fn context(shared: &Arc<Shared>, stage: &ResolvedStage, reuse: Reuse) -> Result<Context, StageError> {
    Context::new(Arc::clone(shared), &stage.name, reuse, stage.budget)
}
