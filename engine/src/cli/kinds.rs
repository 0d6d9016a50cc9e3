//! `kinds`: what a stage can use.

use clap::Args;
use serde_json::{Value, json};

use super::{
    Common, Format, data,
    exit::{Exit, Failure},
    style,
};
use crate::contract::{
    ports::Port,
    registry::{Kind, Registry},
};

/// List the kinds of stage, or explain one
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Kinds {
    /// Kind to explain: a sentence, an example, its ports and its settings
    kind: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost kinds
  fingerpost kinds answer                             an example, its ports and its settings

`fingerpost schema` prints the same for editors.";

impl Kinds {
    pub(super) fn run(&self, common: &Common, registry: &Registry) -> Result<Exit, Failure> {
        let kinds: Vec<_> = match &self.kind {
            None => registry.kinds().collect(),
            Some(name) => vec![registry.find(name).ok_or_else(|| {
                Failure::new(Exit::Usage, format!("there is no kind `{name}`")).help("`fingerpost kinds` lists them")
            })?],
        };
        match common.format {
            Format::Json => {
                let kinds: Vec<_> = kinds
                    .iter()
                    .map(|kind| {
                        json!({
                            "kind": kind.name(),
                            "version": kind.version(),
                            "summary": kind.summary(),
                            "example": kind.example(),
                            "inputs": kind.inputs().iter().map(port).collect::<Vec<_>>(),
                            "outputs": kind.outputs().iter().map(port).collect::<Vec<_>>(),
                            "params": kind.schema(),
                        })
                    })
                    .collect();
                data(&format!("{:#}\n", json!({ "version": 1, "kinds": kinds })))?;
            }
            Format::Text | Format::Github => {
                let text: Vec<_> = kinds.iter().map(|kind| text(kind.as_ref(), self.kind.is_some())).collect();
                data(&text.concat())?;
            }
        }
        Ok(Exit::Done)
    }
}

/// A line for a list, or all that a newcomer needs: a sentence, an example, the ports and a table of the settings.
fn text(kind: &dyn Kind, whole: bool) -> String {
    if whole {
        let mut text = format!("{}: {}\n", kind.name(), kind.summary());
        if !kind.example().is_empty() {
            text += &format!("\nExample, below `stages:`\n\n{}", indented(kind.example()));
        }
        let sides = [("in", kind.inputs()), ("out", kind.outputs())];
        let ports: Vec<_> = sides.iter().flat_map(|(side, ports)| ports.iter().map(move |port| (side, port))).collect();
        if !ports.is_empty() {
            text += "\nPorts (`?`: may stay unwired)\n\n";
        }
        for (side, port) in ports {
            text += &format!("  {side}.{}: {}\n", named(port), port.artifact.name);
        }
        let mut rows = Vec::new();
        settings(&kind.schema(), "", &mut rows);
        if !rows.is_empty() {
            text += "\nSettings, under `with:`\n\n";
        }
        for Setting { name, kind, default, meaning } in rows {
            text += &format!("  {name}: {kind}{default}\n");
            text += &textwrap(&meaning, 6);
        }
        let mut param = "";
        for choice in kind.choices() {
            if choice.param != param {
                param = choice.param;
                text += &format!("\n`{param}` can be\n\n");
            }
            text += &format!("  {:18} {}\n", choice.name, choice.summary);
        }
        return text;
    }
    let ports = |ports: Vec<Port>| {
        let names: Vec<_> = ports.iter().map(named).collect();
        if names.is_empty() { "-".to_owned() } else { names.join(", ") }
    };
    format!("{:10} {}\n           {} -> {}\n", kind.name(), kind.summary(), ports(kind.inputs()), ports(kind.outputs()))
}

/// A setting of a kind, as a person reads it.
struct Setting {
    /// With the names around it: `split.train`.
    name: String,
    kind: String,
    /// `, required`, or the value where the manifest says nothing.
    default: String,
    meaning: String,
}

/// Takes a JSON Schema of an object; adds its settings to `rows`, those inside of others behind them.
fn settings(schema: &Value, above: &str, rows: &mut Vec<Setting>) {
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, own) in schema["properties"].as_object().into_iter().flatten() {
        let default = match own.get("default") {
            _ if required.contains(&name.as_str()) => ", required".to_owned(),
            Some(Value::Object(_) | Value::Null) | None => String::new(),
            Some(Value::String(word)) => format!(" [default: {word}]"),
            Some(value) => format!(" [default: {value}]"),
        };
        let meaning = own["description"].as_str().unwrap_or_default().replace('\n', " ");
        let full = format!("{above}{name}");
        rows.push(Setting { name: full.clone(), kind: kind_of(own), default, meaning });
        for part in std::iter::once(own).chain(own["anyOf"].as_array().into_iter().flatten()) {
            settings(part, &format!("{full}."), rows);
        }
    }
}

/// What a schema takes, in words.
fn kind_of(schema: &Value) -> String {
    let choices = ["anyOf", "oneOf"].iter().find_map(|word| schema[*word].as_array());
    if let Some(choices) = choices {
        let mut kinds: Vec<_> = choices.iter().map(kind_of).filter(|kind| kind != "nothing").collect();
        kinds.dedup();
        return kinds.join(" or ");
    }
    if let Some(word) = schema["const"].as_str() {
        return format!("`{word}`");
    }
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<_> = words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect();
        return words.join(" or ");
    }
    let word = |kind: &str| match kind {
        "string" => "text",
        "integer" => "whole number",
        "number" => "number",
        "boolean" => "true or false",
        "array" => "list",
        "object" => "mapping",
        "null" => "nothing",
        _ => "value",
    };
    match &schema["type"] {
        Value::String(kind) => word(kind).to_owned(),
        Value::Array(kinds) => {
            let kinds = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").map(word);
            kinds.collect::<Vec<_>>().join(" or ")
        }
        _ => "value".to_owned(),
    }
}

fn indented(text: &str) -> String {
    text.trim_end().lines().flat_map(|line| ["  ", line, "\n"]).collect()
}

/// Wraps a paragraph at the width of the terminal, behind so many blanks.
fn textwrap(text: &str, blanks: usize) -> String {
    let width = style::width().saturating_sub(blanks);
    let (mut wrapped, mut line) = (String::new(), String::new());
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            wrapped += &format!("{:blanks$}{line}\n", "");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += word;
    }
    if line.is_empty() { wrapped } else { wrapped + &format!("{:blanks$}{line}\n", "") }
}

fn named(port: &Port) -> String {
    format!("{}{}", port.name, if port.optional { "?" } else { "" })
}

fn port(port: &Port) -> serde_json::Value {
    json!({ "name": port.name, "artifact": port.artifact.name, "optional": port.optional })
}
