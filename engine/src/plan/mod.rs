//! Plans. Takes a pipeline; gives for each stage a hit, a run with its reasons, or a decision that waits for upstream stages.
//!
//! The function `plan` makes the [`Plan`] that `execute` takes. Read this file, then `decide` (the decision about one stage, which
//! `execute` asks for where the plan could not decide yet) and `reasons` (why a stage runs, in words); then what is added to a plan:
//! `preflight` (what this machine lacks), `forecast` (what would be bought) and `notes` (what stages say before they run).

mod decide;
mod forecast;
mod notes;
mod preflight;
mod reasons;

use std::collections::{BTreeMap, BTreeSet};

use cache::{Cache, Digest, Key, Preimage, StageResult};
use serde::Serialize;
use serde_json::Value;

use crate::{
    contract::{context::Reuse, error::StageError, forecast::Forecast},
    resolve::Pipeline,
};
pub(crate) use decide::{decide, inputs};
pub(crate) use forecast::{context, forecast};
pub(crate) use preflight::preflight;

/// What the command line asks for beyond the manifest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// Positions of the stages that are wanted, with all that they need; everything when `None`.
    pub(crate) wanted: Option<BTreeSet<usize>>,
    /// Stages that run even if their result is cached. Their cached replies are used.
    pub(crate) forced: BTreeSet<usize>,
    /// Stages whose replies are bought again.
    pub(crate) rebought: BTreeSet<usize>,
    /// Whether calls that failed for a row alone are made again.
    pub(crate) retries_errors: bool,
}

impl Request {
    /// Returns which cached replies the stage at this position uses.
    pub(crate) fn reuse(&self, stage: usize) -> Reuse {
        match (self.rebought.contains(&stage), self.retries_errors) {
            (true, _) => Reuse::Nothing,
            (false, true) => Reuse::Lasting,
            (false, false) => Reuse::All,
        }
    }

    /// Returns whether the stage at this position is part of the run.
    pub(crate) fn wants(&self, stage: usize) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.contains(&stage))
    }
}

/// What is to be done for each wanted stage, in the order of the file.
pub(crate) struct Plan {
    pub(crate) stages: Vec<PlannedStage>,
}

/// A stage and what is to be done for it.
pub(crate) struct PlannedStage {
    pub(crate) stage: usize,
    pub(crate) decision: Decision,
    /// What it would buy, where it is to run and a forecast was made.
    pub(crate) forecast: Option<Forecast>,
}

/// What is to be done for a stage.
pub(crate) enum Decision {
    /// Its result is cached.
    Hit { key: Key, result: StageResult },
    /// It runs, and why.
    Run { key: Key, preimage: Preimage, why: Vec<Reason> },
    /// It is decided when these stages are done.
    Later { on: Vec<String> },
}

/// Why a stage runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub(crate) enum Reason {
    /// The cache has no earlier run of this stage.
    NeverRun,
    /// It uses another kind than before.
    Kind { was: String, now: String },
    /// The kind's own code has another version.
    Version { was: u32, now: u32 },
    /// A part that the params name has another version.
    Part { name: String, was: Option<u32>, now: Option<u32> },
    /// A param has another value.
    Param { path: String, was: Value, now: Value },
    /// An input has changed.
    Input { port: String, from: String, was: Option<Digest>, now: Option<Digest> },
    /// The result is no longer in the cache.
    Evicted,
    /// It was forced.
    Forced,
}

impl Plan {
    /// Returns whether nothing would run.
    pub(crate) fn is_fresh(&self) -> bool {
        self.stages.iter().all(|stage| matches!(stage.decision, Decision::Hit { .. }))
    }
}

/// Decides about every wanted stage, as far as that is possible before anything runs.
pub(crate) fn plan(pipeline: &Pipeline, cache: &Cache, request: &Request) -> Result<Plan, StageError> {
    let mut results: BTreeMap<usize, StageResult> = BTreeMap::new();
    let mut stages = Vec::new();
    for &stage in pipeline.order.iter().filter(|stage| request.wants(**stage)) {
        let resolved = &pipeline.stages[stage];
        let open: BTreeSet<_> = resolved.producers().filter(|producer| !results.contains_key(producer)).collect();
        let decision = if open.is_empty() {
            let inputs = inputs(resolved, |producer| results.get(&producer))?;
            decide(pipeline, stage, &inputs, cache, request)?
        } else {
            Decision::Later { on: open.into_iter().map(|producer| pipeline.stages[producer].name.clone()).collect() }
        };
        if let Decision::Hit { result, .. } = &decision {
            results.insert(stage, result.clone());
        }
        stages.push(PlannedStage { stage, decision, forecast: None });
    }
    stages.sort_by_key(|planned| planned.stage);
    Ok(Plan { stages })
}
