//! The decision about one stage. Takes a stage whose inputs exist; gives a hit, or a run with its reasons.

use std::collections::{BTreeMap, BTreeSet};

use cache::{Cache, Output, Preimage, StageResult};
use serde_json::Value;

use super::{Decision, Reason, Request};
use crate::{
    contract::error::StageError,
    resolve::{Pipeline, ResolvedStage, Wire},
};

/// Returns the inputs of a stage whose producers all have a result.
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
                    .ok_or_else(|| StageError::failed(format!("the result has no output `{port}`")))?,
            };
            Ok((name.clone(), output))
        })
        .collect()
}

/// Decides whether one stage, whose inputs exist, is a hit or runs.
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
        // Lists of one length differ in some of their items; of others it is not known which item is which.
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (index, (was, now)) in before.iter().zip(after).enumerate() {
                params(reasons, &format!("{path}[{index}]"), was, now);
            }
        }
        _ if was != now => reasons.push(Reason::Param { path: path.to_owned(), was: was.clone(), now: now.clone() }),
        _ => {}
    }
}
