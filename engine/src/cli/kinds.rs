//! The command `kinds`. Takes a name or none; gives what a stage can use, and what its params can name.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Value, json};

use super::{
    Common, Format, data,
    exit::{Exit, Failure},
    style,
};
use crate::{
    contract::{
        ports::Port,
        registry::{ErasedKind, Part, Registry},
    },
    diagnostic::did_you_mean,
};

/// List the kinds of stage, or explain one with an example
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Kinds {
    /// A kind, or what a param can name: a judge, a provider, a benchmark
    name: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost kinds                         list all
  fingerpost kinds judge                   explain a kind: example, ports and settings
  fingerpost kinds numeric                 explain a judge
  fingerpost kinds judge --format json     the JSON Schema of its settings

`fingerpost schema` prints the schema of whole manifests for editors.";

impl Kinds {
    pub(super) fn run(&self, common: &Common, registry: &Registry) -> Result<Exit, Failure> {
        let asked = |name: &str| self.name.as_deref().is_none_or(|asked| asked == name);
        let kinds: Vec<_> = registry.kinds().filter(|kind| asked(kind.name())).collect();
        let parts: Vec<_> = registry.named_parts().iter().filter(|part| asked(part.name)).collect();
        if let (Some(name), true) = (&self.name, kinds.is_empty() && parts.is_empty()) {
            let known = registry.kinds().map(|kind| kind.name()).chain(registry.named_parts().iter().map(|part| part.name));
            let help = did_you_mean(name, known).unwrap_or_else(|| "`fingerpost kinds` lists them".to_owned());
            return Err(Failure::new(Exit::Usage, format!("there is no kind `{name}`")).help(help));
        }
        match common.format {
            Format::Json => {
                let kinds: Vec<_> = kinds.iter().map(|kind| document(kind.as_ref())).collect();
                let parts: Vec<_> = parts.iter().map(|part| part_document(part)).collect();
                data(&format!("{:#}\n", json!({ "version": 1, "kinds": kinds, "parts": parts })))?;
            }
            Format::Text | Format::Github if self.name.is_none() => data(&list(&kinds, &parts))?,
            Format::Text | Format::Github => {
                let kinds = kinds.iter().map(|kind| explained(kind.as_ref()));
                let parts = parts.iter().map(|part| {
                    format!("{} ({}): {}\n\nExample:\n{}", part.name, part.group, part.summary, indented(&part.example))
                });
                data(&kinds.chain(parts).collect::<Vec<_>>().join("\n"))?;
            }
        }
        Ok(Exit::Done)
    }
}

fn document(kind: &dyn ErasedKind) -> Value {
    json!({
        "kind": kind.name(),
        "version": kind.version(),
        "summary": kind.summary(),
        "example": kind.example(),
        "inputs": kind.inputs().iter().map(port).collect::<Vec<_>>(),
        "outputs": kind.outputs().iter().map(port).collect::<Vec<_>>(),
        "params": kind.schema(),
    })
}

fn part_document(part: &Part) -> Value {
    json!({ "group": part.group, "name": part.name, "summary": part.summary, "example": part.example })
}

/// Lists all kinds with their ports, then what their params can name.
fn list(kinds: &[&std::sync::Arc<dyn ErasedKind>], parts: &[&Part]) -> String {
    let lines: Vec<_> = kinds
        .iter()
        .map(|kind| {
            let ports = |ports: Vec<Port>| {
                let names: Vec<_> = ports.iter().map(named).collect();
                if names.is_empty() { "-".to_owned() } else { names.join(", ") }
            };
            format!("{:10} {}\n           {} -> {}\n", kind.name(), kind.summary(), ports(kind.inputs()), ports(kind.outputs()))
        })
        .collect();
    let mut text = lines.concat();
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for part in parts {
        groups.entry(part.group).or_default().push(part.name);
    }
    for (group, names) in groups {
        text += &format!("\n{group}s: {}\n", names.join(", "));
    }
    text + "\n`fingerpost kinds NAME` explains one of them.\n"
}

/// Explains a kind: a sentence, an example, its ports and its settings.
fn explained(kind: &dyn ErasedKind) -> String {
    let mut text = format!("{}: {}\n", kind.name(), kind.summary());
    if !kind.example().is_empty() {
        text += &format!("\nExample:\n{}", indented(kind.example()));
    }
    for (side, ports) in [("Inputs", kind.inputs()), ("Outputs", kind.outputs())] {
        let lines: Vec<_> = ports.iter().map(|port| format!("  {}: {}\n", named(port), port.artifact.name)).collect();
        if !lines.is_empty() {
            text += &format!("\n{side}:\n{}", lines.concat());
        }
    }
    let mut settings = Vec::new();
    collect(&kind.schema(), "", None, &mut settings);
    if !settings.is_empty() {
        text += &format!("\nSettings:\n{}", table(&settings));
    }
    text
}

fn indented(text: &str) -> String {
    text.lines().flat_map(|line| ["  ", line, "\n"]).collect()
}

fn named(port: &Port) -> String {
    format!("{}{}", port.name, if port.optional { "?" } else { "" })
}

fn port(port: &Port) -> Value {
    json!({ "name": port.name, "artifact": port.artifact.name, "optional": port.optional })
}

/// One setting of a kind.
struct Setting {
    name: String,
    kind: String,
    default: String,
    meaning: String,
}

/// Collects the settings of a schema; those of an object as `a.b`.
fn collect(schema: &Value, prefix: &str, defaults: Option<&Value>, found: &mut Vec<Setting>) {
    let Some(properties) = schema["properties"].as_object() else { return };
    let required = |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|known| known == name));
    for (name, schema) in properties {
        let default = defaults.and_then(|defaults| defaults.get(name)).or_else(|| schema.get("default"));
        let path = format!("{prefix}{name}");
        let inside = schema["properties"].is_object();
        let shown = match default.filter(|default| !inside && !default.is_null()) {
            Some(default) => default.to_string(),
            None if required(name) => "required".to_owned(),
            None => String::new(),
        };
        found.push(Setting {
            name: path.clone(),
            kind: kind_of(schema),
            default: shown,
            meaning: schema["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" "),
        });
        collect(schema, &format!("{path}."), default, found);
    }
}

/// Returns what a value can be, in a few words.
fn kind_of(schema: &Value) -> String {
    if let Some(values) = schema["enum"].as_array() {
        let values = values.iter().filter(|value| !value.is_null());
        return values
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join(" | ");
    }
    if let Some(value) = schema.get("const") {
        return value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    }
    if let Some(choices) = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array()) {
        let mut kinds: Vec<_> = choices.iter().filter(|choice| choice["type"] != "null").map(kind_of).collect();
        kinds.dedup();
        return kinds.join(" | ");
    }
    let word = |word: &str| match word {
        "string" => "text".to_owned(),
        "integer" => "whole number".to_owned(),
        "boolean" => "true | false".to_owned(),
        "array" if schema["items"].is_object() => format!("list of {}", kind_of(&schema["items"])),
        "array" => "list".to_owned(),
        "object" if schema["additionalProperties"].is_object() => {
            format!("mapping of {}", kind_of(&schema["additionalProperties"]))
        }
        "object" => "mapping".to_owned(),
        other => other.to_owned(),
    };
    match &schema["type"] {
        Value::String(kind) => word(kind),
        Value::Array(kinds) => {
            let kinds = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null");
            kinds.map(word).collect::<Vec<_>>().join(" | ")
        }
        _ => "anything".to_owned(),
    }
}

/// Returns a line for each setting, with its type and default, and its meaning below.
fn table(settings: &[Setting]) -> String {
    let name = settings.iter().map(|setting| setting.name.len()).max().unwrap_or(0);
    let line = |Setting { name: path, kind, default, meaning }: &Setting| {
        let default = match default.as_str() {
            "" | "required" => default.clone(),
            value => format!("default {value}"),
        };
        let head = format!("  {path:name$}  {kind}{}{default}", if default.is_empty() { "" } else { "; " });
        let lines = wrapped(meaning, style::width() - 6);
        let meaning: String = lines.iter().flat_map(|line| ["      ", line.as_str(), "\n"]).collect();
        format!("{head}\n{meaning}")
    };
    settings.iter().map(line).collect()
}

/// Breaks a sentence into lines of at most `columns` columns.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
