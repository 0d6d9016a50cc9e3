//! Pipeline → plan: per stage a hit, a run with its reasons, or a decision that waits for what is above.

mod notes;
mod reasons;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use cache::{Cache, Digest, Key, Output, Preimage, StageResult};
use serde::Serialize;
use serde_json::Value;

use crate::{
    contract::{
        context::{Context, Shared},
        error::StageError,
        forecast::Forecast,
    },
    diagnostic::Mistake,
    resolve::{Pipeline, ResolvedStage, Wire},
};

/// What a run is asked for beyond the manifest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// Positions of the stages that are wanted, with all that they need; everything when `None`.
    pub(crate) wanted: Option<BTreeSet<usize>>,
    /// Stages that run whatever is known, with known replies.
    pub(crate) forced: BTreeSet<usize>,
    /// Stages whose replies are bought again.
    pub(crate) rebought: BTreeSet<usize>,
}

impl Request {
    /// Whether the stage at this position is part of the run.
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
    /// What it would buy, where it is to run and that was asked for.
    pub(crate) forecast: Option<Forecast>,
}

/// What is to be done for a stage.
pub(crate) enum Decision {
    /// Its result is known.
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
    /// No run of this stage is known.
    NeverRun,
    /// It uses another kind than before.
    Kind { was: String, now: String },
    /// The kind's code answers differently now.
    Version { was: u32, now: u32 },
    /// A part that the params name has another version.
    Part { name: String, was: Option<u32>, now: Option<u32> },
    /// A param is another.
    Param { path: String, was: Value, now: Value },
    /// Something else flows in.
    Input { port: String, from: String, was: Option<Digest>, now: Option<Digest> },
    /// The result was known and is no longer in the cache.
    Evicted,
    /// It was asked for.
    Forced,
}

impl Plan {
    /// Whether nothing would run.
    pub(crate) fn is_fresh(&self) -> bool {
        self.stages.iter().all(|stage| matches!(stage.decision, Decision::Hit { .. }))
    }
}

/// Decides as far as anything can be known before running.
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

/// Says of every stage that is to run what it would buy, as far as its inputs are known, and what else a person should read before.
pub(crate) fn forecast(plan: &mut Plan, pipeline: &Pipeline, shared: &Arc<Shared>, request: &Request) -> Result<(), StageError> {
    let mut notes = notes::notes(plan, pipeline, shared)?;
    let forecasts = plan.stages.iter().map(|planned| forecast_one(plan, planned, pipeline, shared, request));
    let forecasts: Vec<_> = forecasts.collect::<Result<_, _>>()?;
    for (planned, forecast) in plan.stages.iter_mut().zip(forecasts) {
        if let Some(error) = unready(planned, forecast.as_ref(), pipeline, shared)? {
            let help = error.help.map_or_else(String::new, |help| format!("; {help}"));
            notes.entry(planned.stage).or_default().push(format!("before it can run: {}{help}", error.message));
        }
        planned.forecast = forecast;
        if let Some(notes) = notes.remove(&planned.stage).filter(|notes| !notes.is_empty()) {
            planned.forecast.get_or_insert_default().notes.extend(notes);
        }
    }
    Ok(())
}

/// Sees before anything runs that what calls need, such as a key, is there. A stage that would make no call needs nothing.
pub(crate) fn ready(plan: &Plan, pipeline: &Pipeline, shared: &Arc<Shared>, request: &Request) -> Result<(), StageError> {
    for planned in &plan.stages {
        let forecast = forecast_one(plan, planned, pipeline, shared, request)?;
        if let Some(error) = unready(planned, forecast.as_ref(), pipeline, shared)? {
            return Err(error.at(&format!("`{}`", pipeline.stages[planned.stage].name)));
        }
    }
    Ok(())
}

/// What a stage that is to run lacks for its calls, where it would make any.
fn unready(
    planned: &PlannedStage,
    forecast: Option<&Forecast>,
    pipeline: &Pipeline,
    shared: &Arc<Shared>,
) -> Result<Option<StageError>, StageError> {
    if matches!(planned.decision, Decision::Hit { .. }) || forecast.is_some_and(|forecast| forecast.calls == 0) {
        return Ok(None);
    }
    let stage = &pipeline.stages[planned.stage];
    Ok(stage.kind.ready(&context(shared, stage, false)?, &stage.settled).err())
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
            let forecast = forecast_one(plan, planned, pipeline, shared, request)?;
            if forecast.is_none_or(|forecast| forecast.calls > 0 || forecast.known == 0) {
                mistakes.extend(missing);
            }
        }
    }
    Ok(mistakes)
}

fn forecast_one(
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
    let context = context(shared, stage, request.rebought.contains(&planned.stage))?;
    Ok(Some(stage.kind.forecast(&context, &stage.settled, inputs)?))
}

pub(crate) fn context(shared: &Arc<Shared>, stage: &ResolvedStage, rebuy: bool) -> Result<Context, StageError> {
    Context::new(Arc::clone(shared), &stage.name, rebuy, stage.budget)
}

/// What flows into a stage whose producers are all known.
pub(crate) fn inputs<'a>(
    stage: &ResolvedStage,
    result: impl Fn(usize) -> Option<&'a StageResult>,
) -> Result<BTreeMap<String, Output>, StageError> {
    stage
        .wires
        .iter()
        .map(|(name, wire)| {
            let output = match wire {
                Wire::File { file, artifact } => {
                    Output { digest: file.digest(), artifact: artifact.name.clone(), rows: None, bytes: 0, tree: false }
                }
                Wire::Stage { stage, port } => result(*stage)
                    .and_then(|result| result.outputs.get(port))
                    .cloned()
                    .ok_or_else(|| StageError::failed(format!("nothing came out of port `{port}`")))?,
            };
            Ok((name.clone(), output))
        })
        .collect()
}

/// Decides for one stage whose inputs are known.
pub(crate) fn decide(
    pipeline: &Pipeline,
    stage: usize,
    inputs: &BTreeMap<String, Output>,
    cache: &Cache,
    request: &Request,
) -> Result<Decision, StageError> {
    let resolved = &pipeline.stages[stage];
    let preimage = Preimage {
        kind: resolved.kind.name().to_owned(),
        version: resolved.kind.version(),
        parts: resolved.settled.parts.clone(),
        params: resolved.settled.params.clone(),
        inputs: inputs.iter().map(|(port, output)| (port.clone(), output.digest)).collect(),
    };
    let key = preimage.key();
    if request.forced.contains(&stage) {
        return Ok(Decision::Run { key, preimage, why: vec![Reason::Forced] });
    }
    if let Some(result) = cache.result(&key)? {
        return Ok(Decision::Hit { key, result });
    }
    let last = match cache.last(&pipeline.manifest.name, &resolved.name)? {
        Some(last) => cache.preimage(&last)?,
        None => None,
    };
    let why = match last {
        None if cache.preimage(&key)?.is_some() => vec![Reason::Evicted],
        None => vec![Reason::NeverRun],
        Some(last) => reasons(&last, &preimage, resolved, pipeline),
    };
    Ok(Decision::Run { key, preimage, why })
}

fn reasons(was: &Preimage, now: &Preimage, resolved: &ResolvedStage, pipeline: &Pipeline) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if was.kind != now.kind {
        return vec![Reason::Kind { was: was.kind.clone(), now: now.kind.clone() }];
    }
    if was.version != now.version {
        reasons.push(Reason::Version { was: was.version, now: now.version });
    }
    for name in was.parts.keys().chain(now.parts.keys()).collect::<BTreeSet<_>>() {
        let (was, now) = (was.parts.get(name).copied(), now.parts.get(name).copied());
        if was != now {
            reasons.push(Reason::Part { name: name.clone(), was, now });
        }
    }
    params(&mut reasons, "with", &was.params, &now.params);
    for port in was.inputs.keys().chain(now.inputs.keys()).collect::<BTreeSet<_>>() {
        let (was, now) = (was.inputs.get(port).copied(), now.inputs.get(port).copied());
        if was != now {
            let from = match resolved.wires.get(port) {
                Some(Wire::Stage { stage, .. }) => pipeline.stages[*stage].name.clone(),
                Some(Wire::File { file, .. }) => file.name().to_owned(),
                None => String::new(),
            };
            reasons.push(Reason::Input { port: port.clone(), from, was, now });
        }
    }
    if reasons.is_empty() {
        reasons.push(Reason::Evicted);
    }
    reasons
}

fn params(reasons: &mut Vec<Reason>, path: &str, was: &Value, now: &Value) {
    match (was, now) {
        (Value::Object(before), Value::Object(after)) => {
            for name in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
                let value = |object: &serde_json::Map<String, Value>| object.get(name).cloned().unwrap_or(Value::Null);
                params(reasons, &format!("{path}.{name}"), &value(before), &value(after));
            }
        }
        _ if was != now => reasons.push(Reason::Param { path: path.to_owned(), was: was.clone(), now: now.clone() }),
        _ => {}
    }
}
