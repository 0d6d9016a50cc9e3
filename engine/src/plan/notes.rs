//! Notes. Takes a plan; gives what the stages that are to run say about themselves before anything runs.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::{Decision, Plan};
use crate::{
    contract::{
        ahead::{Ahead, Known},
        context::{Reuse, Shared},
        error::StageError,
    },
    resolve::{Pipeline, Wire},
};

/// Returns the notes of the stages that are to run. Producers come first, so that each stage gets what is known about its inputs.
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
        let (context, ahead) = (super::context(shared, resolved, Reuse::All)?, Ahead(known.collect()));
        notes.insert(stage, resolved.kind.notes(&context, &resolved.settled, &ahead)?);
        told.insert(stage, resolved.kind.tell(&context, &resolved.settled, &ahead)?);
    }
    Ok(notes)
}
