//! Stages of a manifest. Takes a manifest's data; gives its stages, with the mistakes of their shape.

use std::collections::BTreeMap;

use serde_yaml::{Mapping, Value};

use super::Declaration;
use super::places::Places;
use super::shape::wrong_type;
use crate::budget::Limit;
use crate::diagnostic::{Mistake, did_you_mean, suggest};
use crate::source::Path;

const FIELDS: [&str; 4] = ["uses", "in", "with", "budget"];

/// Reads the stages in order of the file.
pub(super) fn read(data: &Value, places: &Places, mistakes: &mut Vec<Mistake>) -> Vec<Declaration> {
    let path = Path::of(&["stages"]);
    let example = "write `stages: { questions: { uses: benchmark } }`";
    match data.get("stages") {
        None => {
            let keys = data.as_mapping().into_iter().flat_map(Mapping::keys).filter_map(Value::as_str);
            let near = keys.into_iter().find(|key| suggest(key, ["stages"]).is_some());
            let at = near.map_or_else(Path::root, |key| Path::of(&[key]));
            let help = near.map_or_else(|| example.to_owned(), |_| "did you mean `stages`?".to_owned());
            mistakes.push(places.mistake_at_key(&at, "missing-field", "the manifest has no `stages`").help(help));
            Vec::new()
        }
        Some(Value::Mapping(entries)) if !entries.is_empty() => entries
            .iter()
            .filter_map(|(name, stage)| {
                let name = name.as_str()?;
                check_name(name, &path.key(name), places, mistakes);
                Some(declaration(name, stage, &path.key(name), places, mistakes))
            })
            .collect(),
        Some(Value::Mapping(_) | Value::Null) => {
            mistakes.push(places.mistake_at_key(&path, "missing-field", "there are no stages").help(example));
            Vec::new()
        }
        Some(other) => {
            mistakes.push(wrong_type(places, &path, "stages", "a mapping of names to stages", other).help(example));
            Vec::new()
        }
    }
}

fn check_name(name: &str, path: &Path, places: &Places, mistakes: &mut Vec<Mistake>) {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
    if !first || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')) {
        let mistake = places.mistake_at_key(path, "wrong-name", format!("`{name}` cannot name a stage"));
        mistakes.push(mistake.help("a name starts with a letter and goes on with letters, digits, `_` and `-`"));
    }
}

fn declaration(name: &str, stage: &Value, path: &Path, places: &Places, mistakes: &mut Vec<Mistake>) -> Declaration {
    let Value::Mapping(entries) = stage else {
        let mistake = wrong_type(places, path, name, "a mapping with `uses`, `in` and `with`", stage);
        mistakes.push(mistake.help(format!("write `{name}: {{ uses: KIND }}`")));
        return Declaration { name: name.to_owned(), uses: None, inputs: None, with: None, budget: Limit::Unlimited };
    };
    let unknown: Vec<_> = entries.keys().filter_map(Value::as_str).filter(|field| !FIELDS.contains(field)).collect();
    for &field in &unknown {
        let mistake = places.mistake_at_key(&path.key(field), "unknown-field", format!("a stage has no field `{field}`"));
        let help = did_you_mean(field, FIELDS);
        mistakes.push(
            mistake.help("a stage has `uses`, `in`, `with` and `budget`; the settings of its kind go under `with`").help_if(help),
        );
    }
    // A misspelt field is one mistake, not two: an unknown field may be meant as the one that is missing.
    let misspelt = |meant: &str| {
        !entries.contains_key(meant) && unknown.iter().any(|field| suggest(field, FIELDS).is_none_or(|near| near == meant))
    };
    let uses = uses(name, entries, misspelt("uses"), path, places, mistakes);
    let inputs = inputs(entries, misspelt("in"), &path.key("in"), places, mistakes);
    let with = with(entries, misspelt("with"), &path.key("with"), places, mistakes);
    let budget = budget(entries, &path.key("budget"), places, mistakes);
    Declaration { name: name.to_owned(), uses, inputs, with, budget }
}

fn with(entries: &Mapping, misspelt: bool, path: &Path, places: &Places, mistakes: &mut Vec<Mistake>) -> Option<Value> {
    match entries.get("with") {
        None if misspelt => None,
        None | Some(Value::Null) => Some(Value::Mapping(Mapping::new())),
        Some(with @ Value::Mapping(_)) => Some(with.clone()),
        Some(other) => {
            mistakes.push(wrong_type(places, path, "with", "a mapping", other).help("write `with: { name: value }`"));
            None
        }
    }
}

fn budget(entries: &Mapping, path: &Path, places: &Places, mistakes: &mut Vec<Mistake>) -> Limit {
    let text = match entries.get("budget") {
        None | Some(Value::Null) => return Limit::Unlimited,
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => {
            mistakes.push(wrong_type(places, path, "budget", "an amount of dollars", other).help("write `budget: 2.50`"));
            return Limit::Unlimited;
        }
    };
    text.parse().unwrap_or_else(|message: String| {
        mistakes.push(places.mistake_at_value(path, "wrong-value", message));
        Limit::Unlimited
    })
}

fn uses(
    name: &str,
    entries: &Mapping,
    misspelt: bool,
    path: &Path,
    places: &Places,
    mistakes: &mut Vec<Mistake>,
) -> Option<String> {
    match entries.get("uses") {
        None if misspelt => {}
        Some(Value::String(kind)) => return Some(kind.clone()),
        None | Some(Value::Null) => {
            let mistake = places.mistake_at_key(path, "missing-field", format!("the stage `{name}` has no `uses`"));
            mistakes.push(mistake.help("name its kind: `uses: KIND`; `fingerpost kinds` lists them"));
        }
        Some(other) => {
            mistakes.push(wrong_type(places, &path.key("uses"), "uses", "the name of a kind", other));
        }
    }
    None
}

fn inputs(
    entries: &Mapping,
    misspelt: bool,
    path: &Path,
    places: &Places,
    mistakes: &mut Vec<Mistake>,
) -> Option<BTreeMap<String, String>> {
    let entries = match entries.get("in") {
        None if misspelt => return None,
        None | Some(Value::Null) => return Some(BTreeMap::new()),
        Some(Value::Mapping(entries)) => entries,
        Some(other) => {
            let mistake = wrong_type(places, path, "in", "a mapping of ports to stages", other);
            mistakes.push(mistake.help("write `in: { port: stage }`"));
            return None;
        }
    };
    let mut inputs = BTreeMap::new();
    for (port, reference) in entries.iter().filter_map(|(port, reference)| Some((port.as_str()?, reference))) {
        if let Value::String(reference) = reference {
            inputs.insert(port.to_owned(), reference.clone());
        } else {
            let mistake = wrong_type(places, &path.key(port), port, "a stage, `stage.port` or a file", reference);
            mistakes.push(mistake.help(format!("write `{port}: stage`, `{port}: stage.port` or `{port}: ./file`")));
            // The port counts as wired, so that it is not reported as missing as well.
            inputs.insert(port.to_owned(), String::new());
        }
    }
    Some(inputs)
}
