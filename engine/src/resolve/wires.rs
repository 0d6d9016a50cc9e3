//! Wires. Takes `in:` as written; gives wires to ports whose types fit, and to files whose rows fit.

use std::{collections::BTreeMap, io::BufRead as _};

use super::{Checker, Found, Wire, quoted};
use crate::{
    contract::{artifact::Type, error::without_place, file::File, ports::Port},
    diagnostic::did_you_mean,
    manifest::Declaration,
    source::Path,
};

impl Checker<'_> {
    pub(super) fn wires(&mut self, stage: &Declaration, found: Option<&Found>, all: &[Option<Found>]) -> BTreeMap<String, Wire> {
        let ports = found.map(Found::inputs);
        let mut wires = BTreeMap::new();
        let Some(inputs) = &stage.inputs else { return wires };
        for (name, written) in inputs {
            let wanted = match &ports {
                None => None,
                Some(ports) => {
                    let port = ports.iter().find(|port| port.name == *name);
                    if port.is_none() {
                        self.unknown_port(stage, name, ports);
                        // What it is wired to may be wrong as well.
                        self.wire(stage, name, written, None, all);
                        continue;
                    }
                    port
                }
            };
            if let Some(wire) = self.wire(stage, name, written, wanted, all) {
                wires.insert(name.clone(), wire);
            }
        }
        // A misspelt port is not reported as missing as well.
        let misspelt = |ports: &[Port]| inputs.keys().any(|name| ports.iter().all(|port| port.name != *name));
        let ports = ports.filter(|ports| !misspelt(ports));
        for port in ports.into_iter().flatten().filter(|port| !port.optional) {
            if !inputs.contains_key(&port.name) {
                self.mistakes.push(
                    self.manifest
                        .mistake_at_key(
                            &stage.path(),
                            "missing-port",
                            format!("port `{}` of `{}` is not wired", port.name, stage.name),
                        )
                        .help(format!("add `{}: STAGE` under its `in:`, a stage that gives {}", port.name, port.artifact.name)),
                );
            }
        }
        wires
    }

    fn unknown_port(&mut self, stage: &Declaration, name: &str, ports: &[Port]) {
        let names = || ports.iter().map(|port| port.name.as_str());
        let kind = stage.uses.as_deref().unwrap_or_default();
        let help = did_you_mean(name, names()).unwrap_or_else(|| {
            if ports.is_empty() { format!("`{kind}` has no input ports") } else { format!("its ports are {}", quoted(names())) }
        });
        self.mistakes.push(
            self.manifest
                .mistake_at_key(&stage.input_path(name), "unknown-port", format!("`{kind}` has no port `{name}`"))
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
            let help = did_you_mean(name, names).unwrap_or_else(|| "the path of a file starts with `./` or `/`".to_owned());
            self.mistakes
                .push(self.manifest.mistake_at_value(&at, "unknown-stage", format!("there is no stage `{name}`")).help(help));
            return None;
        };
        let outputs = match all.get(producer) {
            Some(Some(found)) if !found.ports_depend_on_wrong_params() => found.outputs(),
            // Its own mistake is reported already; the edge is kept to find cycles.
            _ => return Some(Wire::Stage { stage: producer, port: output.unwrap_or_default().to_owned() }),
        };
        match choose(&outputs, output, wanted) {
            Ok(port) => Some(Wire::Stage { stage: producer, port }),
            Err((code, message, help)) => {
                let message = message.replace("STAGE", name);
                self.mistakes.push(self.manifest.mistake_at_value(&at, code, message).help(help.replace("STAGE", name)));
                // The edge is kept to find cycles.
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
                    .mistake_at_value(at, "wrong-port-type", format!("a file cannot stand in for {}", artifact.name))
                    .help("wire a stage that outputs one"),
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
}

type Refusal = (&'static str, String, String);

fn choose(outputs: &[Port], named: Option<&str>, wanted: Option<&Port>) -> Result<String, Refusal> {
    let names = || quoted(outputs.iter().map(|port| port.name.as_str()));
    let takes = |port: &&Port| wanted.is_none_or(|wanted| wanted.artifact.takes(&port.artifact));
    let wants = wanted.map_or_else(String::new, |port| format!("port `{}` takes {}", port.name, port.artifact.name));
    if let Some(named) = named {
        let Some(port) = outputs.iter().find(|port| port.name == named) else {
            let help = did_you_mean(named, outputs.iter().map(|port| port.name.as_str()))
                .unwrap_or_else(|| format!("its outputs are {}", names()));
            return Err(("unknown-port", format!("`STAGE` has no output `{named}`"), help));
        };
        return if takes(&port) {
            Ok(port.name.clone())
        } else {
            Err(("wrong-port-type", format!("{wants}, and `STAGE.{named}` is {}", port.artifact.name), fitting(outputs)))
        };
    }
    let fit: Vec<_> = outputs.iter().filter(takes).collect();
    match (fit.as_slice(), outputs) {
        ([port], _) => Ok(port.name.clone()),
        ([], [port]) => Err(("wrong-port-type", format!("{wants}, and `STAGE` gives {}", port.artifact.name), fitting(outputs))),
        ([], _) => Err(("wrong-port-type", format!("{wants}, and `STAGE` gives none"), fitting(outputs))),
        _ => Err((
            "ambiguous-port",
            "`STAGE` has several outputs that would fit".to_owned(),
            format!("write one of {}", quoted(fit.iter().map(|port| format!("STAGE.{}", port.name)))),
        )),
    }
}

fn fitting(outputs: &[Port]) -> String {
    let gives: Vec<_> = outputs.iter().map(|port| format!("`{}` ({})", port.name, port.artifact.name)).collect();
    format!("its outputs are {}", gives.join(", "))
}

fn malformed(file: &File, row: fn(&str) -> Result<(), serde_json::Error>) -> Option<String> {
    let reader = match cache::open_regular(file.path()) {
        Ok(file) => std::io::BufReader::new(file),
        Err(error) => return Some(format!("`{}` cannot be read: {error}", file.name())),
    };
    for (index, line) in reader.lines().enumerate() {
        let line = match line {
            Ok(line) => line,
            Err(error) => return Some(format!("`{}`, line {}: {error}", file.name(), index + 1)),
        };
        if let Err(error) = row(&line) {
            return Some(format!("`{}`, line {}, column {}: {}", file.name(), index + 1, error.column(), without_place(&error)));
        }
    }
    None
}
