//! Rust types and a registry → JSON Schema (draft 07) for editors and for readers of rows.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::contract::registry::Registry;

/// The schema of one type, with its definitions inlined.
pub(crate) fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Some(object) = schema.as_object_mut() {
        object.remove("$schema");
        object.remove("title");
    }
    schema
}

/// The schema of a whole manifest: per kind its params and its ports.
pub(crate) fn manifest(registry: &Registry) -> Value {
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
