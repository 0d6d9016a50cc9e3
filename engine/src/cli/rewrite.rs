//! Rows in another program's format, for `export --as`. Takes a stage; gives files, made of its rows and of those that it was made from.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::BufRead as _,
    sync::Arc,
};

use ::cache::{Cache, Output};

use super::{
    ManifestArguments,
    exit::{Exit, Failure},
    inputs,
    select::position,
    show,
};
use crate::{
    contract::{
        format::{ExportFormat, ExportedFile, RowsByType},
        registry::Registry,
    },
    resolve::Pipeline,
    store::Store,
};

/// Finds a format by its name.
pub(super) fn find<'a>(registry: &'a Registry, name: &str) -> Result<&'a ExportFormat, Failure> {
    registry.formats().iter().find(|format| format.name == name).ok_or_else(|| {
        let names: Vec<_> = registry.formats().iter().map(|format| format.name).collect();
        Failure::new(Exit::Usage, format!("there is no format `{name}`")).help(format!("the formats are {}", names.join(", ")))
    })
}

/// Returns the files that a stage becomes in a format.
pub(super) fn files(
    pipeline: &Pipeline,
    cache: &Arc<Cache>,
    name: &str,
    arguments: &ManifestArguments,
    format: &ExportFormat,
) -> Result<Vec<ExportedFile>, Failure> {
    let rows = rows(pipeline, cache, name, arguments)?;
    if let Some(missing) = format.needs.iter().find(|needed| !rows.contains_key(**needed)) {
        return Err(Failure::new(
            Exit::Usage,
            format!("`{}` takes rows of type `{missing}`, and `{name}` has none and is made from none", format.name),
        )
        .help("name a stage that gives answers, or verdicts on them"));
    }
    (format.write)(&rows).map_err(|what| Failure::new(Exit::StageFailed, format!("`{name}` as `{}`: {what}", format.name)))
}

/// Returns a stage's rows by type and, of each type that it does not give, those that it was made from: the nearest ones.
fn rows(pipeline: &Pipeline, cache: &Arc<Cache>, name: &str, arguments: &ManifestArguments) -> Result<RowsByType, Failure> {
    let mut level: Vec<Output> = show::outputs(pipeline, cache, name, arguments)?.into_iter().map(|(_, output)| output).collect();
    let mut stages = BTreeSet::from([position(pipeline, name)?]);
    let mut rows = RowsByType::new();
    let store = Store::new(Arc::clone(cache));
    while !level.is_empty() || !stages.is_empty() {
        let mut nearest: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut new = RowsByType::new();
        for output in level {
            let kind = output.artifact.strip_prefix("dataset<").and_then(|rest| rest.strip_suffix('>'));
            let Some(kind) = kind.filter(|kind| !rows.contains_key(*kind)) else { continue };
            if nearest.entry(kind.to_owned()).or_default().insert(output.digest.to_string()) {
                read(&store, &output, new.entry(kind.to_owned()).or_default())?;
            }
        }
        rows.extend(new);
        level = Vec::new();
        for stage in &stages {
            level.extend(inputs::known(pipeline, cache, *stage, &arguments.manifest)?.into_values());
        }
        stages = stages.iter().flat_map(|stage| pipeline.stages[*stage].producers()).collect();
    }
    Ok(rows)
}

fn read(store: &Store, output: &Output, rows: &mut Vec<serde_json::Value>) -> Result<(), Failure> {
    for line in store.buffered(&output.digest)?.lines() {
        let line = line.map_err(|error| Failure::new(Exit::Environment, error))?;
        rows.push(serde_json::from_str(&line).map_err(|error| Failure::new(Exit::Environment, error))?);
    }
    Ok(())
}
