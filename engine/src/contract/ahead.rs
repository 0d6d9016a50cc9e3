//! What can be known of a stage's inputs before anything runs: what is there already, and what stages above say of what they will give.

use std::{collections::BTreeMap, sync::Arc};

use cache::Output;
use serde_json::Value;

use super::{
    artifact::Artifact,
    context::{Context, Shared},
    error::StageError,
};
use crate::{
    plan::{self, Decision, Plan},
    resolve::{Pipeline, Wire},
};

/// What is known ahead, by port; a port of which nothing is known is not in it.
#[derive(Default)]
pub struct Ahead(pub(crate) BTreeMap<String, Known>);

/// What is known of one port.
pub(crate) enum Known {
    /// The artifact itself.
    There(Output),
    /// What the stage that will give it says of it.
    Told(Value),
}

impl Ahead {
    /// Returns what flows in at a port, where it is there already.
    pub fn artifact<A: Artifact>(&self, ctx: &Context, port: &str) -> Option<A> {
        match self.0.get(port)? {
            Known::There(output) => Some(A::open(ctx.store(), output.clone())),
            Known::Told(_) => None,
        }
    }

    /// Returns what the stage above told of an artifact that is not there yet.
    pub fn told(&self, port: &str) -> Option<&Value> {
        match self.0.get(port)? {
            Known::Told(value) => Some(value),
            Known::There(_) => None,
        }
    }
}

/// What stages say that are to run, producers first: each hears what is known of its inputs.
pub(crate) fn notes(plan: &Plan, pipeline: &Pipeline, shared: &Arc<Shared>) -> Result<BTreeMap<usize, Vec<String>>, StageError> {
    let (mut notes, mut told) = (BTreeMap::new(), BTreeMap::new());
    let planned: BTreeMap<_, _> = plan.stages.iter().map(|planned| (planned.stage, &planned.decision)).collect();
    for &stage in &pipeline.order {
        let Some(Decision::Run { .. } | Decision::Later { .. }) = planned.get(&stage) else { continue };
        let resolved = &pipeline.stages[stage];
        let known = |wire: &Wire| match wire {
            Wire::Stage { stage, port } => match planned.get(stage) {
                Some(Decision::Hit { result, .. }) => result.outputs.get(port).cloned().map(Known::There),
                _ => told.get(stage).and_then(|told: &BTreeMap<String, Value>| told.get(port)).cloned().map(Known::Told),
            },
            Wire::File { .. } => None,
        };
        let known = resolved.wires.iter().filter_map(|(port, wire)| Some((port.clone(), known(wire)?)));
        let (context, ahead) = (plan::context(shared, resolved, false)?, Ahead(known.collect()));
        notes.insert(stage, resolved.kind.notes(&context, &resolved.settled, &ahead)?);
        told.insert(stage, resolved.kind.tell(&context, &resolved.settled, &ahead)?);
    }
    Ok(notes)
}
