//! Preflight. Takes a plan; gives what the stages that are to run need and lack: devices of this machine, keys for calls.

use std::sync::Arc;

use super::{Decision, Plan, Request, forecast::one};
use crate::{
    contract::{context::Shared, error::StageError, mistake::ParamMistake, preflight::Lack},
    diagnostic::Mistake,
    resolve::Pipeline,
};

/// What the stages of a plan lack.
#[derive(Default)]
pub(crate) struct Lacks {
    /// Devices that are not there, each at its place in the manifest.
    pub(crate) devices: Vec<Mistake>,
    /// Variables that are not set, each with the position of its stage.
    pub(crate) variables: Vec<(usize, ParamMistake)>,
}

/// Finds what stages lack. A stage whose replies are all cached lacks nothing.
pub(crate) fn preflight(plan: &Plan, pipeline: &Pipeline, shared: &Arc<Shared>, request: &Request) -> Result<Lacks, StageError> {
    let mut lacks = Lacks::default();
    for planned in plan.stages.iter().filter(|planned| !matches!(planned.decision, Decision::Hit { .. })) {
        let stage = planned.stage;
        let lacking = pipeline.preflight(stage, &shared.environment);
        if lacking.is_empty() {
            continue;
        }
        let forecast = one(plan, planned, pipeline, shared, request)?;
        let calls = forecast.as_ref().is_none_or(|forecast| forecast.calls > 0);
        // A stage that calls nothing, such as a training, needs its device all the same.
        let runs = calls || forecast.is_some_and(|forecast| forecast.known == 0);
        for lack in lacking {
            match lack {
                Lack::Device(mistake) if runs => lacks.devices.push(pipeline.not_here(stage, mistake)),
                Lack::Variable(mistake) if calls => lacks.variables.push((stage, mistake)),
                Lack::Device(_) | Lack::Variable(_) => {}
            }
        }
    }
    Ok(lacks)
}
