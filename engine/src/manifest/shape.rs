//! The top of a manifest. Takes a manifest's data; gives its name and its sections, and a mistake where its version is not supported.

use std::collections::BTreeMap;

use serde_yaml::Value;

use super::places::Places;
use crate::diagnostic::Mistake;
use crate::source::Path;

/// The version of manifests that this program reads.
const VERSION: u64 = 1;

/// Checks the version. Returns the mistake of an unknown one, because nothing else in the file can be checked then.
pub(super) fn version(data: &Value, places: &Places, mistakes: &mut Vec<Mistake>) -> Option<Mistake> {
    let path = Path::of(&["version"]);
    match data.get("version") {
        None => {
            let mistake = places.mistake_at_key(&Path::root(), "missing-version", "the manifest has no `version`");
            mistakes.push(mistake.help("start the file with `version: 1`"));
            None
        }
        Some(value) if value.as_u64() == Some(VERSION) => None,
        Some(Value::Number(number)) => {
            let mistake = places.mistake_at_value(&path, "unknown-version", format!("unsupported manifest version {number}"));
            Some(mistake.help(format!("this program reads version {VERSION}; a newer program may read this file")))
        }
        Some(_) => {
            let mistake = places.mistake_at_value(&path, "unknown-version", "`version` must be a number");
            Some(mistake.help(format!("write `version: {VERSION}`")))
        }
    }
}

/// Reads `name:`, else takes the file's stem.
pub(super) fn name(data: &Value, places: &Places, mistakes: &mut Vec<Mistake>) -> String {
    let path = Path::of(&["name"]);
    match data.get("name") {
        None | Some(Value::Null) => {
            let stem = std::path::Path::new(&places.source().file.name).file_stem();
            stem.map_or_else(|| "manifest".to_owned(), |stem| stem.to_string_lossy().into_owned())
        }
        Some(Value::String(name)) => {
            if name.is_empty() || name.trim() != name || name.contains(|c: char| matches!(c, '/' | '\\') || c.is_control()) {
                let mistake = places.mistake_at_value(&path, "wrong-name", "a name has no `/`, no `\\` and no spaces around it");
                mistakes.push(mistake.help("choose a word, such as `quickstart`"));
            }
            name.clone()
        }
        Some(other) => {
            mistakes.push(wrong_type(places, &path, "name", "text", other));
            String::new()
        }
    }
}

/// Reads every key at the top that is not the engine's own.
pub(super) fn sections(data: &Value) -> BTreeMap<String, Value> {
    let own = ["version", "name", "params", "stages"];
    let entries = data.as_mapping().into_iter().flatten();
    let named = entries.filter_map(|(key, value)| Some((key.as_str()?.to_owned(), value.clone())));
    named.filter(|(key, _)| !own.contains(&key.as_str())).collect()
}

/// Returns a mistake that says what a value must be and what it is.
pub(super) fn wrong_type(places: &Places, path: &Path, name: &str, expected: &str, found: &Value) -> Mistake {
    let message = format!("`{name}` must be {expected}, not {}", described(found));
    places.mistake_at_value(path, "wrong-type", message)
}

fn described(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(flag) => format!("`{flag}`"),
        Value::Number(number) => format!("the number `{number}`"),
        Value::String(text) => format!("the text `{text}`"),
        Value::Sequence(_) => "a list".to_owned(),
        Value::Mapping(_) | Value::Tagged(_) => "a mapping".to_owned(),
    }
}
