//! Checks of a manifest. Takes a manifest; gives a pipeline (kinds found, params typed, wires checked, the graph acyclic), or all
//! mistakes at once.
//!
//! Read this file, then the checks in the order in which `resolve` makes them: `params` (sections and `with:` become typed values),
//! `wires` (`in:` becomes wires to outputs or files) and `order` (producers come first, or there is a cycle).

mod order;
mod params;
mod wires;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    budget::Limit,
    contract::{
        artifact::Type,
        file::{File, Folders},
        mistake::ParamMistake,
        ports::Port,
        preflight::{Lack, Surroundings},
        registry::{ErasedKind, Registry, Settled},
        section::Sections,
    },
    diagnostic::Mistake,
    environment::Environment,
    manifest::Manifest,
    source::Path,
};

/// The stages of a manifest, ready to be planned.
pub(crate) struct Pipeline {
    pub(crate) manifest: Arc<Manifest>,
    /// In the order of the file.
    pub(crate) stages: Vec<ResolvedStage>,
    /// Positions in `stages`, producers first.
    pub(crate) order: Vec<usize>,
    /// The manifest's blocks beside the stages.
    pub(crate) sections: Sections,
}

/// A stage with its kind, its params and its wires.
pub(crate) struct ResolvedStage {
    pub(crate) name: String,
    pub(crate) kind: Arc<dyn ErasedKind>,
    pub(crate) settled: Settled,
    pub(crate) wires: BTreeMap<String, Wire>,
    /// What its calls may cost.
    pub(crate) budget: Limit,
}

/// What a port is wired to.
pub(crate) enum Wire {
    /// An output of the stage at this position.
    Stage { stage: usize, port: String },
    /// A file that stands in for an artifact of this type.
    File { file: File, artifact: Type },
}

impl ResolvedStage {
    /// Returns the positions of the stages whose outputs this one takes.
    pub(crate) fn producers(&self) -> impl Iterator<Item = usize> {
        self.wires.values().filter_map(|wire| match wire {
            Wire::Stage { stage, .. } => Some(*stage),
            Wire::File { .. } => None,
        })
    }

    /// Returns the files that stand in for artifacts.
    pub(crate) fn files(&self) -> impl Iterator<Item = &File> {
        self.wires.values().filter_map(|wire| match wire {
            Wire::File { file, .. } => Some(file),
            Wire::Stage { .. } => None,
        })
    }
}

impl Pipeline {
    /// Finds a stage by name.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.stages.iter().position(|stage| stage.name == name)
    }

    /// Lists what a stage needs and lacks.
    pub(crate) fn preflight(&self, stage: usize, environment: &Environment) -> Vec<Lack> {
        let resolved = &self.stages[stage];
        resolved.kind.preflight(&resolved.settled, &Surroundings { sections: &self.sections, environment })
    }

    /// Returns the mistake at the field that asks for what this machine lacks.
    pub(crate) fn not_here(&self, stage: usize, mistake: ParamMistake) -> Mistake {
        params::param_mistake(&self.manifest, &self.manifest.stages[stage].with_path(), "not-here", mistake)
    }

    /// Returns the stages and all stages upstream of them.
    pub(crate) fn with_producers(&self, stages: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
        let mut found: BTreeSet<_> = stages.into_iter().collect();
        for &stage in self.order.iter().rev() {
            if found.contains(&stage) {
                found.extend(self.stages[stage].producers());
            }
        }
        found
    }

    /// Returns the stages and all stages downstream of them.
    pub(crate) fn with_consumers(&self, stages: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
        let mut found: BTreeSet<_> = stages.into_iter().collect();
        for &stage in &self.order {
            if self.stages[stage].producers().any(|producer| found.contains(&producer)) {
                found.insert(stage);
            }
        }
        found
    }
}

/// Checks a manifest against the registry.
///
/// # Errors
/// All mistakes: those of the manifest's shape, of names and params, of wires, and cycles.
pub(crate) fn resolve(manifest: Manifest, registry: &Registry) -> Result<Pipeline, Vec<Mistake>> {
    let manifest = Arc::new(manifest);
    let mut checker = Checker { manifest: &manifest, mistakes: Vec::new() };
    let sections = checker.sections(registry);
    let settled: Vec<_> = manifest.stages.iter().map(|stage| checker.settle(stage, registry, &sections)).collect();
    let wires: Vec<_> =
        manifest.stages.iter().zip(&settled).map(|(stage, found)| checker.wires(stage, found.as_ref(), &settled)).collect();
    let order = checker.order(&wires);
    let mut mistakes = manifest.mistakes.clone();
    // What has the wrong shape is a wrong name or value too; one mistake in each place is enough.
    mistakes.extend(checker.mistakes.into_iter().filter(|mistake| !manifest.mistakes.iter().any(|known| known.is_at(mistake))));
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let stages = manifest
        .stages
        .iter()
        .zip(settled.into_iter().flatten())
        .zip(wires)
        .filter_map(|((declaration, found), wires)| {
            Some(ResolvedStage {
                name: declaration.name.clone(),
                kind: found.kind,
                settled: found.settled?,
                wires,
                budget: declaration.budget,
            })
        })
        .collect();
    Ok(Pipeline { manifest, stages, order, sections })
}

/// A stage whose kind exists; its params may be wrong.
struct Found {
    kind: Arc<dyn ErasedKind>,
    settled: Option<Settled>,
}

impl Found {
    // Where the params are wrong, the declared ports stand in for theirs, so that one mistake does not cause others.
    fn inputs(&self) -> Vec<Port> {
        self.settled.as_ref().map_or_else(|| self.kind.inputs(), |settled| settled.inputs.clone())
    }

    fn outputs(&self) -> Vec<Port> {
        self.settled.as_ref().map_or_else(|| self.kind.outputs(), |settled| settled.outputs.clone())
    }

    fn ports_depend_on_wrong_params(&self) -> bool {
        self.settled.is_none() && self.kind.outputs().is_empty()
    }
}

struct Checker<'a> {
    manifest: &'a Manifest,
    mistakes: Vec<Mistake>,
}

impl Checker<'_> {
    /// Returns what the paths in the value at `at` are relative to.
    fn folders(&self, at: &Path, value: &serde_yaml::Value) -> Folders {
        Folders { manifest: self.manifest.folder.clone(), from_command_line: self.manifest.set_texts(at, value) }
    }
}

fn quoted<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect();
    names.join(", ")
}
