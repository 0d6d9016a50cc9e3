//! Manifest → pipeline: kinds found, params typed, wires checked, the graph acyclic. All mistakes in one go.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::BufRead as _,
    sync::Arc,
};

use petgraph::{
    algo::{tarjan_scc, toposort},
    graph::{DiGraph, NodeIndex},
    visit::EdgeRef as _,
};

use crate::{
    artifact::Type,
    diagnostic::{Mistake, did_you_mean},
    file::{File, Folders},
    manifest::{Declaration, Manifest, field_mistake},
    registry::{Kind, Registry, SettleError, Settled},
    section::Sections,
    source::{Path, Source},
    stage::{ParamMistake, Port},
};

/// The stages of a manifest, ready to be planned.
pub(crate) struct Pipeline {
    pub(crate) manifest: Arc<Manifest>,
    /// In the order of the file.
    pub(crate) stages: Vec<ResolvedStage>,
    /// Positions in `stages`, producers first.
    pub(crate) order: Vec<usize>,
}

/// A stage with its kind, its params and its wires.
pub(crate) struct ResolvedStage {
    pub(crate) name: String,
    pub(crate) kind: Arc<dyn Kind>,
    pub(crate) settled: Settled,
    pub(crate) wires: BTreeMap<String, Wire>,
}

/// What a port is wired to.
pub(crate) enum Wire {
    /// An output of the stage at this position.
    Stage { stage: usize, port: String },
    /// A file that stands in for an artifact of this type.
    File { file: File, artifact: Type },
}

impl ResolvedStage {
    /// Positions of the stages that this one takes from.
    pub(crate) fn producers(&self) -> impl Iterator<Item = usize> {
        self.wires.values().filter_map(|wire| match wire {
            Wire::Stage { stage, .. } => Some(*stage),
            Wire::File { .. } => None,
        })
    }

    /// The files that stand in for artifacts.
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

    /// The stages themselves and all that they take from.
    pub(crate) fn with_producers(&self, stages: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
        let mut found: BTreeSet<_> = stages.into_iter().collect();
        for &stage in self.order.iter().rev() {
            if found.contains(&stage) {
                found.extend(self.stages[stage].producers());
            }
        }
        found
    }

    /// The stages themselves and all that take from them.
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
pub(crate) fn resolve(manifest: Manifest, registry: &Registry) -> Result<Pipeline, Vec<Mistake>> {
    let manifest = Arc::new(manifest);
    let mut checker = Checker { manifest: &manifest, mistakes: Vec::new() };
    let sections = checker.sections(registry);
    let settled: Vec<_> = manifest.stages.iter().map(|stage| checker.settle(stage, registry, &sections)).collect();
    let wires: Vec<_> =
        manifest.stages.iter().zip(&settled).map(|(stage, found)| checker.wires(stage, found.as_ref(), &settled)).collect();
    let order = checker.order(&wires);
    if !checker.mistakes.is_empty() {
        return Err(checker.mistakes);
    }
    let stages = manifest
        .stages
        .iter()
        .zip(settled.into_iter().flatten())
        .zip(wires)
        .filter_map(|((declaration, found), wires)| {
            Some(ResolvedStage { name: declaration.name.clone(), kind: found.kind, settled: found.settled?, wires })
        })
        .collect();
    Ok(Pipeline { manifest, stages, order })
}

/// A stage whose kind is known; its params may be wrong.
struct Found {
    kind: Arc<dyn Kind>,
    settled: Option<Settled>,
}

impl Found {
    // The declared ports stand in for those of wrong params, so that one mistake does not bring others.
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
    /// What the paths in the value at `at` are relative to.
    fn folders(&self, at: &Path, value: &serde_yaml::Value) -> Folders {
        Folders { manifest: self.manifest.folder.clone(), from_command_line: self.manifest.set_texts(at, value) }
    }

    fn sections(&mut self, registry: &Registry) -> Sections {
        let mut sections = Sections::default();
        for (name, value) in &self.manifest.sections {
            let at = Path::root().key(name.as_str());
            let Some(kind) = registry.sections().iter().find(|kind| kind.name == name) else {
                let known = registry.sections().iter().map(|kind| kind.name);
                let known = known.chain(["version", "name", "params", "stages"]);
                self.mistakes.push(
                    self.manifest
                        .mistake_at_key(&at, "unknown-section", format!("there is no section `{name}`"))
                        .help_if(did_you_mean(name, known)),
                );
                continue;
            };
            if let serde_yaml::Value::String(written) = value {
                self.section_file(kind.read, written, &at, &mut sections);
                continue;
            }
            let read = crate::file::reading(&self.folders(&at, value), || (kind.read)(value.clone(), &mut sections));
            match read {
                Ok(mistakes) => self.param_mistakes(&at, mistakes),
                Err(error) => self.mistakes.push(self.manifest.field_mistake(&at, &error)),
            }
        }
        sections
    }

    fn section_file(
        &mut self,
        read: fn(serde_yaml::Value, &mut Sections) -> Result<Vec<ParamMistake>, serde_path_to_error::Error<serde_yaml::Error>>,
        written: &str,
        at: &Path,
        sections: &mut Sections,
    ) {
        let path = self.folders(at, &serde_yaml::Value::from(written)).path(written);
        if !path.is_file() {
            self.mistakes.push(
                self.manifest
                    .mistake_at_value(
                        at,
                        "missing-file",
                        format!("there is no file `{written}` (looked for `{}`)", path.display()),
                    )
                    .help("paths in a manifest are relative to the manifest"),
            );
            return;
        }
        let source: Arc<Source> = match Source::read(&path) {
            Ok(source) => source,
            Err(mistakes) => return self.mistakes.extend(mistakes),
        };
        let beside = Folders { manifest: path.parent().map(std::path::Path::to_owned).unwrap_or_default(), ..Folders::default() };
        match crate::file::reading(&beside, || read(source.data().clone(), sections)) {
            Ok(mistakes) => self.mistakes.extend(mistakes.into_iter().map(|mistake| {
                Mistake::at_value(&source, &field_path(&Path::root(), &mistake.field), "wrong-value", mistake.message)
                    .help(mistake.help)
            })),
            Err(error) => self.mistakes.push(field_mistake(&source, &error)),
        }
    }

    fn settle(&mut self, stage: &Declaration, registry: &Registry, sections: &Sections) -> Option<Found> {
        let Some(kind) = registry.find(&stage.uses) else {
            let help = did_you_mean(&stage.uses, registry.kinds().map(|kind| kind.name()))
                .unwrap_or_else(|| "`fingerpost kinds` lists the kinds".to_owned());
            self.mistakes.push(
                self.manifest
                    .mistake_at_value(&stage.uses_path(), "unknown-kind", format!("there is no kind `{}`", stage.uses))
                    .help(help),
            );
            return None;
        };
        let wired: Vec<_> = stage.inputs.keys().cloned().collect();
        let settled = match kind.settle(stage.with.clone(), &self.folders(&stage.with_path(), &stage.with), sections, &wired) {
            Ok(settled) => Some(settled),
            Err(SettleError::Field(error)) => {
                self.mistakes.push(self.manifest.field_mistake(&stage.with_path(), &error));
                None
            }
            Err(SettleError::Mistakes(mistakes)) => {
                self.param_mistakes(&stage.with_path(), mistakes);
                None
            }
        };
        Some(Found { kind: Arc::clone(kind), settled })
    }

    fn param_mistakes(&mut self, at: &Path, mistakes: Vec<ParamMistake>) {
        for mistake in mistakes {
            let path = field_path(at, &mistake.field);
            self.mistakes.push(self.manifest.mistake_at_value(&path, "wrong-value", mistake.message).help(mistake.help));
        }
    }

    fn wires(&mut self, stage: &Declaration, found: Option<&Found>, all: &[Option<Found>]) -> BTreeMap<String, Wire> {
        let ports = found.map(Found::inputs);
        let mut wires = BTreeMap::new();
        for (name, written) in &stage.inputs {
            let wanted = match &ports {
                None => None,
                Some(ports) => {
                    let port = ports.iter().find(|port| port.name == *name);
                    if port.is_none() {
                        self.unknown_port(stage, name, ports);
                        continue;
                    }
                    port
                }
            };
            if let Some(wire) = self.wire(stage, name, written, wanted, all) {
                wires.insert(name.clone(), wire);
            }
        }
        // A misspelt port is not missing as well.
        let misspelt = |ports: &[Port]| stage.inputs.keys().any(|name| ports.iter().all(|port| port.name != *name));
        let ports = ports.filter(|ports| !misspelt(ports));
        for port in ports.into_iter().flatten().filter(|port| !port.optional) {
            if !stage.inputs.contains_key(&port.name) {
                self.mistakes.push(
                    self.manifest
                        .mistake_at_key(
                            &stage.path(),
                            "missing-port",
                            format!("port `{}` of `{}` is not wired", port.name, stage.name),
                        )
                        .help(format!("add `in: {{ {}: STAGE }}`, a {}", port.name, port.artifact.name)),
                );
            }
        }
        wires
    }

    fn unknown_port(&mut self, stage: &Declaration, name: &str, ports: &[Port]) {
        let names = || ports.iter().map(|port| port.name.as_str());
        let help = did_you_mean(name, names()).unwrap_or_else(|| {
            if ports.is_empty() {
                format!("`{}` takes nothing in", stage.uses)
            } else {
                format!("its ports are {}", quoted(names()))
            }
        });
        self.mistakes.push(
            self.manifest
                .mistake_at_key(&stage.input_path(name), "unknown-port", format!("`{}` has no port `{name}`", stage.uses))
                .help(help),
        );
    }

    fn wire(
        &mut self,
        stage: &Declaration,
        port: &str,
        written: &str,
        wanted: Option<&Port>,
        all: &[Option<Found>],
    ) -> Option<Wire> {
        let at = stage.input_path(port);
        if written.starts_with(['.', '/']) {
            return self.file(&at, written, wanted);
        }
        let (name, output) = match written.split_once('.') {
            Some((name, output)) => (name, Some(output)),
            None => (written, None),
        };
        let Some(producer) = self.manifest.stages.iter().position(|stage| stage.name == name) else {
            let names = self.manifest.stages.iter().map(|stage| stage.name.as_str());
            let help = did_you_mean(name, names).unwrap_or_else(|| "a file is written with `./` or `/` in front".to_owned());
            self.mistakes
                .push(self.manifest.mistake_at_value(&at, "unknown-stage", format!("there is no stage `{name}`")).help(help));
            return None;
        };
        let outputs = match all.get(producer) {
            Some(Some(found)) if !found.ports_depend_on_wrong_params() => found.outputs(),
            // Its own mistake is told already; the edge is kept for cycles.
            _ => return Some(Wire::Stage { stage: producer, port: output.unwrap_or_default().to_owned() }),
        };
        match choose(&outputs, output, wanted) {
            Ok(port) => Some(Wire::Stage { stage: producer, port }),
            Err((code, message, help)) => {
                let message = message.replace("STAGE", name);
                self.mistakes.push(self.manifest.mistake_at_value(&at, code, message).help(help.replace("STAGE", name)));
                // The edge still counts for cycles.
                Some(Wire::Stage { stage: producer, port: String::new() })
            }
        }
    }

    fn file(&mut self, at: &Path, written: &str, wanted: Option<&Port>) -> Option<Wire> {
        let file = match File::find(written, &self.folders(at, &serde_yaml::Value::from(written))) {
            Ok(file) => file,
            Err(message) => {
                self.mistakes.push(
                    self.manifest
                        .mistake_at_value(at, "missing-file", message)
                        .help("paths in a manifest are relative to the manifest"),
                );
                return None;
            }
        };
        let artifact = match wanted {
            Some(port) if port.artifact.name != "any" => port.artifact.clone(),
            _ => Type::plain("file"),
        };
        if artifact.name != "file" && artifact.row.is_none() {
            self.mistakes.push(
                self.manifest
                    .mistake_at_value(at, "wrong-port-type", format!("a file cannot stand in for a {}", artifact.name))
                    .help("wire a stage that gives one"),
            );
        }
        if let Some(message) = artifact.row.and_then(|row| malformed(&file, row)) {
            self.mistakes.push(
                self.manifest
                    .mistake_at_value(at, "malformed-row", message)
                    .help(format!("each line must be a row of {}; `fingerpost schema` prints its fields", artifact.name)),
            );
        }
        Some(Wire::File { file, artifact })
    }

    fn order(&mut self, wires: &[BTreeMap<String, Wire>]) -> Vec<usize> {
        let mut graph = DiGraph::<(), &str>::new();
        let nodes: Vec<NodeIndex> = wires.iter().map(|_| graph.add_node(())).collect();
        for (consumer, wires) in wires.iter().enumerate() {
            for (port, wire) in wires {
                if let Wire::Stage { stage, .. } = wire {
                    graph.add_edge(nodes[*stage], nodes[consumer], port);
                }
            }
        }
        if let Ok(order) = toposort(&graph, None) {
            return order.into_iter().map(NodeIndex::index).collect();
        }
        for cycle in tarjan_scc(&graph) {
            let inside: BTreeSet<_> = cycle.into_iter().collect();
            let edges: Vec<_> = graph
                .edge_references()
                .filter(|edge| inside.contains(&edge.source()) && inside.contains(&edge.target()))
                .map(|edge| {
                    let (from, to) = (&self.manifest.stages[edge.source().index()], &self.manifest.stages[edge.target().index()]);
                    (to.input_path(edge.weight()), format!("`{}` takes from `{}`", to.name, from.name))
                })
                .collect();
            let Some(((first, label), rest)) = edges.split_first() else { continue };
            let names = inside.iter().map(|node| self.manifest.stages[node.index()].name.as_str());
            let mut mistake = self
                .manifest
                .mistake_at_value(first, "cycle", format!("{} wait for each other", quoted(names)))
                .label(label.as_str())
                .help("take one of these wires out");
            for (path, text) in rest {
                for label in self.manifest.value_labels(path).into_iter().take(1) {
                    mistake = mistake.also_here(label.span, text.as_str());
                }
            }
            self.mistakes.push(mistake);
        }
        Vec::new()
    }
}

type Refusal = (&'static str, String, String);

fn choose(outputs: &[Port], named: Option<&str>, wanted: Option<&Port>) -> Result<String, Refusal> {
    let names = || quoted(outputs.iter().map(|port| port.name.as_str()));
    let takes = |port: &&Port| wanted.is_none_or(|wanted| wanted.artifact.takes(&port.artifact));
    let wants = wanted.map_or_else(String::new, |port| format!("port `{}` takes a {}", port.name, port.artifact.name));
    if let Some(named) = named {
        let Some(port) = outputs.iter().find(|port| port.name == named) else {
            let help = did_you_mean(named, outputs.iter().map(|port| port.name.as_str()))
                .unwrap_or_else(|| format!("it gives {}", names()));
            return Err(("unknown-port", format!("`STAGE` gives no `{named}`"), help));
        };
        return if takes(&port) {
            Ok(port.name.clone())
        } else {
            Err(("wrong-port-type", format!("{wants}, and `STAGE.{named}` is a {}", port.artifact.name), fitting(outputs)))
        };
    }
    let fit: Vec<_> = outputs.iter().filter(takes).collect();
    match (fit.as_slice(), outputs) {
        ([port], _) => Ok(port.name.clone()),
        ([], [port]) => {
            Err(("wrong-port-type", format!("{wants}, and `STAGE` gives a {}", port.artifact.name), fitting(outputs)))
        }
        ([], _) => Err(("wrong-port-type", format!("{wants}, and `STAGE` gives none"), fitting(outputs))),
        _ => Err((
            "ambiguous-port",
            "`STAGE` gives several things that would fit".to_owned(),
            format!("write one of {}", quoted(fit.iter().map(|port| format!("STAGE.{}", port.name)))),
        )),
    }
}

fn fitting(outputs: &[Port]) -> String {
    let gives: Vec<_> = outputs.iter().map(|port| format!("`{}`, a {}", port.name, port.artifact.name)).collect();
    format!("it gives {}", gives.join("; "))
}

fn quoted<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect();
    names.join(", ")
}

fn field_path(at: &Path, field: &[String]) -> Path {
    field.iter().fold(at.clone(), |path, name| path.key(name.as_str()))
}

fn malformed(file: &File, row: fn(&str) -> Result<(), serde_json::Error>) -> Option<String> {
    let reader = match std::fs::File::open(file.path()) {
        Ok(file) => std::io::BufReader::new(file),
        Err(error) => return Some(format!("`{}` cannot be read: {error}", file.name())),
    };
    for (index, line) in reader.lines().enumerate() {
        let line = match line {
            Ok(line) => line,
            Err(error) => return Some(format!("`{}`, line {}: {error}", file.name(), index + 1)),
        };
        if let Err(error) = row(&line) {
            return Some(format!("`{}`, line {}, column {}: {error}", file.name(), index + 1, error.column()));
        }
    }
    None
}
