//! Inputs of a stage. Takes a stage whose producers have run; gives its inputs, without running anything.

use std::{collections::BTreeMap, path::Path};

use ::cache::{Cache, Output};

use super::exit::{Exit, Failure};
use crate::{
    plan::{self, Decision, Request},
    resolve::Pipeline,
};

/// Returns the inputs of a stage, where all of them are cached.
pub(super) fn known(
    pipeline: &Pipeline,
    cache: &Cache,
    position: usize,
    manifest: &Path,
) -> Result<BTreeMap<String, Output>, Failure> {
    let stage = &pipeline.stages[position];
    let request = Request { wanted: Some(pipeline.with_producers([position])), ..Request::default() };
    let planned = plan::plan(pipeline, cache, &request)?;
    let result = |producer: usize| {
        planned.stages.iter().find(|planned| planned.stage == producer).and_then(|planned| match &planned.decision {
            Decision::Hit { result, .. } => Some(result),
            _ => None,
        })
    };
    if let Some(missing) = stage.producers().find(|producer| result(*producer).is_none()) {
        let name = &pipeline.stages[missing].name;
        return Err(Failure::new(Exit::Stale, format!("`{}` needs the outputs of `{name}`, which has not run", stage.name))
            .help(format!("run it: `fingerpost run {} {name}`", manifest.display())));
    }
    Ok(plan::inputs(stage, result)?)
}
