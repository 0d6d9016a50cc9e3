//! A plan → what its stages lack before anything runs: keys for calls, devices of this machine.

use std::sync::Arc;

use super::{
    Decision, Plan, Request,
    forecast::{one, unready},
};
use crate::{
    contract::{context::Shared, error::StageError},
    diagnostic::Mistake,
    resolve::Pipeline,
};

/// Sees before anything runs that what calls need, such as a key, is there. A stage that would make no call needs nothing.
pub(crate) fn ready(plan: &Plan, pipeline: &Pipeline, shared: &Arc<Shared>, request: &Request) -> Result<(), StageError> {
    for planned in &plan.stages {
        let forecast = one(plan, planned, pipeline, shared, request)?;
        if let Some(error) = unready(planned, forecast.as_ref(), pipeline, shared)? {
            return Err(error.at(&format!("`{}`", pipeline.stages[planned.stage].name)));
        }
    }
    Ok(())
}

/// Finds what of this machine the stages that are to run ask for and is not there. One whose replies are all known asks for nothing.
pub(crate) fn missing(
    plan: &Plan,
    pipeline: &Pipeline,
    shared: &Arc<Shared>,
    request: &Request,
) -> Result<Vec<Mistake>, StageError> {
    let mut mistakes = Vec::new();
    for planned in plan.stages.iter().filter(|planned| !matches!(planned.decision, Decision::Hit { .. })) {
        let missing = pipeline.missing(planned.stage);
        if !missing.is_empty() {
            let forecast = one(plan, planned, pipeline, shared, request)?;
            if forecast.is_none_or(|forecast| forecast.calls > 0 || forecast.known == 0) {
                mistakes.extend(missing);
            }
        }
    }
    Ok(mistakes)
}
