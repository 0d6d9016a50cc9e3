//! The command `schema`. Takes the name of a type of rows, or none; gives its JSON Schema, or that of manifests for editors.

use clap::Args;
use serde_json::{Map, Value, json};

use super::{
    data,
    exit::{Exit, Failure},
};
use crate::{
    contract::{
        ports::Port,
        registry::{ErasedKind, Registry},
    },
    diagnostic::did_you_mean,
};

/// Print the JSON Schema of manifests, or of one type of rows
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Schema {
    /// A type of rows, such as `question` [default: manifests]
    row: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost schema > fingerpost.schema.json          for the first line of a manifest:
                                                      # yaml-language-server: $schema=fingerpost.schema.json
  fingerpost schema question                          one type of rows

`fingerpost kinds` lists the kinds of stage for people.";

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

/// A whole value that comes from a param: `${params.NAME}`.
const PARAM: &str = r"^\$\{params\.[^${}]+\}$";

/// A stage, `stage.port`, a file, or a param.
const REFERENCE: &str = r"^([A-Za-z][A-Za-z0-9_-]*(\.[^.]+)?|[./].*|\$\{params\.[^${}]+\})$";

/// Returns the schema of a whole manifest: for each kind its params and its ports.
pub(super) fn manifest(registry: &Registry) -> Value {
    let kinds: Vec<_> = registry.kinds().map(|kind| kind.name()).collect();
    let cases: Vec<_> = registry.kinds().map(|kind| case(&**kind)).collect();
    let mut properties = json!({
        "version": { "const": 1 },
        "name": { "type": "string", "description": "Name under which the cache keeps the history of the stages; default: the file's name." },
        "params": {
            "type": ["object", "null"],
            "description": "Values for `${params.NAME}`; changed by `--set params.NAME=VALUE`.",
        },
        "stages": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": { "pattern": "^[A-Za-z][A-Za-z0-9_-]*$" },
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "uses": { "enum": kinds, "description": "The kind of the stage." },
                    "in": { "description": "Input ports: a stage, `stage.port`, or a file that starts with `./` or `/`." },
                    "with": { "description": "The settings of the kind." },
                    "budget": {
                        "type": ["number", "string", "null"],
                        "minimum": 0,
                        "pattern": r"^(none|\$?[0-9.]+([eE][+-]?[0-9]+)?)$",
                        "description": "What the calls of the stage may cost, in dollars.",
                    },
                },
                "required": ["uses"],
                "additionalProperties": false,
                "allOf": cases,
            },
        },
    });
    for section in registry.sections() {
        let file = json!({ "type": "string", "description": "A file that contains the section." });
        properties[section.name] = json!({ "anyOf": [with_params((section.schema)()), file] });
    }
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": properties,
        "required": ["version", "stages"],
        "additionalProperties": false,
    })
}

/// Returns the schema of `in` and `with` for a stage of this kind. Each is required where something in it is required.
fn case(kind: &dyn ErasedKind) -> Value {
    let ports = kind.inputs();
    let wire = |port: &Port| json!({ "type": "string", "pattern": REFERENCE, "description": port.artifact.name });
    let mut wires = json!({ "type": ["object", "null"], "additionalProperties": { "type": "string", "pattern": REFERENCE } });
    let mut required = Vec::new();
    if !ports.is_empty() {
        let properties: Map<_, _> = ports.iter().map(|port| (port.name.clone(), wire(port))).collect();
        let wired: Vec<_> = ports.iter().filter(|port| !port.optional).map(|port| &port.name).collect();
        let form = if wired.is_empty() { json!(["object", "null"]) } else { json!("object") };
        required.extend((!wired.is_empty()).then_some("in"));
        wires = json!({ "type": form, "properties": properties, "required": wired, "additionalProperties": false });
    }
    let mut params = kind.schema();
    match params["required"].as_array() {
        Some(names) if !names.is_empty() => required.push("with"),
        _ => params["type"] = json!(["object", "null"]),
    }
    json!({
        "if": { "properties": { "uses": { "const": kind.name() } } },
        "then": { "properties": { "with": with_params(params), "in": wires }, "required": required },
    })
}

/// Allows a param for each value in it, but not for the whole, because an editor completes the names of the whole.
fn with_params(mut schema: Value) -> Value {
    let Some(object) = schema.as_object_mut() else { return schema };
    for (name, value) in object.iter_mut() {
        match (name.as_str(), value) {
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(or_param),
            ("additionalProperties" | "items", value @ Value::Object(_)) => or_param(value),
            ("anyOf" | "oneOf" | "allOf" | "items", Value::Array(choices)) => {
                for choice in choices {
                    *choice = with_params(choice.take());
                }
            }
            _ => {}
        }
    }
    schema
}

/// Turns a schema into one that takes a param too, with the description and the default where an editor looks for them.
fn or_param(schema: &mut Value) {
    let mut own = with_params(schema.take());
    let taken = own
        .get("type")
        .is_some_and(|kind| kind == "string" || kind.as_array().is_some_and(|kinds| kinds.contains(&json!("string"))));
    let restricted = ["enum", "const", "pattern", "format"].iter().any(|word| own.get(*word).is_some());
    *schema = if taken && !restricted
        || own.get("type").is_none() && own.as_object().is_none_or(|own| own.keys().all(|key| key == "description"))
    {
        own
    } else {
        let mut shown = Map::new();
        for word in ["description", "default"] {
            shown.extend(own.as_object_mut().and_then(|own| own.remove_entry(word)));
        }
        shown.insert("anyOf".to_owned(), json!([own, { "type": "string", "pattern": PARAM }]));
        Value::Object(shown)
    };
}
