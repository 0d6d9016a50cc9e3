//! Messages for templates. Takes messages; gives the values that templates read, as transformers passes them.

use minijinja::value::{DynObject, Serde, Value, ValueKind};
use serde::Serialize;

/// Marks around what a `{% generation %}` block wrote. They are removed from the output.
pub(super) const GENERATION: [char; 2] = ['\u{F0002}', '\u{F0003}'];

/// Turns messages into the values that templates read.
pub fn messages<'a, M: Serialize + 'a>(messages: impl IntoIterator<Item = &'a M>) -> Vec<Value> {
    messages.into_iter().map(|message| Value::from(Serde(message))).collect()
}

/// Returns a message as transformers passes it: no key without a value, and the reasoning under the names that templates read.
pub(super) fn normalised(message: &Value) -> Value {
    if message.kind() != ValueKind::Map {
        return message.clone();
    }
    let entries = message.as_object().and_then(DynObject::try_iter_pairs).into_iter().flatten();
    let mut entries: Vec<(Value, Value)> =
        entries.filter(|(_, value)| !value.is_none()).map(|(key, value)| (key, without_own_marks(value))).collect();
    let named = |name: &str| entries.iter().position(|(key, _)| key.as_str() == Some(name));
    let reasoning =
        ["reasoning_content", "thinking", "reasoning"].into_iter().find_map(|name| named(name).map(|at| entries[at].1.clone()));
    if let Some(reasoning) = reasoning {
        if named("thinking").is_none() {
            entries.insert(0, (Value::from("thinking"), reasoning.clone()));
        }
        match entries.iter().position(|(key, _)| key.as_str() == Some("reasoning_content")) {
            Some(at) => entries[at].1 = reasoning,
            None => entries.push((Value::from("reasoning_content"), reasoning)),
        }
    }
    Value::from_pairs(entries)
}

/// Removes the characters of the marks from a message, so that no content can pose as a mark.
fn without_own_marks(value: Value) -> Value {
    match value.as_str() {
        Some(text) if text.contains(GENERATION) => Value::from(text.replace(GENERATION, "")),
        _ => value,
    }
}
