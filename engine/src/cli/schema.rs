//! `schema`: JSON Schema of manifests for editors, or of one type of rows.

use clap::Args;
use serde_json::{Map, Value, json};

use super::{
    data,
    exit::{Exit, Failure},
};
use crate::{contract::registry::Registry, diagnostic::did_you_mean};

/// Print the JSON Schema of manifests, or of one type of rows
#[derive(Args)]
pub(super) struct Schema {
    /// A type of rows, such as `question` [default: manifests]
    row: Option<String>,
}

impl Schema {
    pub(super) fn run(&self, registry: &Registry) -> Result<Exit, Failure> {
        let schema = match &self.row {
            None => manifest(registry),
            Some(name) => {
                let names = || registry.rows().iter().map(|row| row.name);
                let row = registry.rows().iter().find(|row| row.name == name).ok_or_else(|| {
                    let help = did_you_mean(name, names())
                        .unwrap_or_else(|| format!("the types of rows are {}", names().collect::<Vec<_>>().join(", ")));
                    Failure::new(Exit::Usage, format!("there is no type of rows `{name}`")).help(help)
                })?;
                (row.schema)()
            }
        };
        data(&format!("{schema:#}\n"))?;
        Ok(Exit::Done)
    }
}

/// The schema of a whole manifest: per kind its params and its ports.
pub(super) fn manifest(registry: &Registry) -> Value {
    let kinds: Vec<_> = registry.kinds().map(|kind| kind.name()).collect();
    let cases: Vec<_> = registry
        .kinds()
        .map(|kind| {
            let ports = kind.inputs();
            let mut wires = json!({ "type": "object", "additionalProperties": { "type": "string" } });
            if !ports.is_empty() {
                let properties: Map<_, _> = ports
                    .iter()
                    .map(|port| (port.name.clone(), json!({ "type": "string", "description": port.artifact.name })))
                    .collect();
                let required: Vec<_> = ports.iter().filter(|port| !port.optional).map(|port| &port.name).collect();
                wires =
                    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false });
            }
            json!({
                "if": { "properties": { "uses": { "const": kind.name() } } },
                "then": { "properties": { "with": kind.schema(), "in": wires } },
            })
        })
        .collect();
    let mut properties = json!({
        "version": { "const": 1 },
        "name": { "type": "string", "description": "Name under which results are remembered; default: the file's name." },
        "params": { "type": "object", "description": "Values for `${params.NAME}`; changed by `--set params.NAME=VALUE`." },
        "stages": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": { "uses": { "enum": kinds }, "in": {}, "with": {} },
                "required": ["uses"],
                "additionalProperties": false,
                "allOf": cases,
            },
        },
    });
    for section in registry.sections() {
        properties[section.name] = json!({ "anyOf": [(section.schema)(), { "type": "string" }] });
    }
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": properties,
        "required": ["version", "stages"],
        "additionalProperties": false,
    })
}
