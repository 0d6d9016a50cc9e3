//! Values of fields as texts. Takes a JSON value; gives its text, or the texts of its list.

use serde_json::Value;

use super::literal::python;

/// Returns the texts of a list, which may be written out as one text.
pub(crate) fn list(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::Array(items) => items.iter().map(text).collect(),
        // A format without lists, such as CSV, has them as JSON or as Python writes them.
        Value::String(written) => match serde_json::from_str(written).ok().or_else(|| python(written))? {
            Value::Array(items) => items.iter().map(text).collect(),
            _ => None,
        },
        _ => None,
    }
}

/// Returns a value as text, unless it is a list, an object or nothing.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
