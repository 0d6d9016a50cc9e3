//! A value → its one JSON text: keys sorted at every depth, no spaces. Equal rows are equal bytes.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Error, Value};

/// Returns the value as one line with its end.
pub(crate) fn line(value: &impl Serialize) -> Result<String, Error> {
    let mut text = text(value)?;
    text.push('\n');
    Ok(text)
}

/// Returns the value without an end of line.
pub(crate) fn text(value: &impl Serialize) -> Result<String, Error> {
    let mut text = String::new();
    write(&mut text, &serde_json::to_value(value)?)?;
    Ok(text)
}

// The order of serde_json's own maps hangs on a feature that any dependency may switch on.
fn write(text: &mut String, value: &Value) -> Result<(), Error> {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            text.push('{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&serde_json::to_string(key)?);
                text.push(':');
                write(text, value)?;
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(text, item)?;
            }
            text.push(']');
        }
        scalar => write!(text, "{scalar}").expect("writing to a string does not fail"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn keys_are_sorted_at_every_depth() {
        let value = json!({ "b": [{ "z": 1, "a": "ä\n" }], "a": null });
        assert_eq!(super::line(&value).unwrap(), "{\"a\":null,\"b\":[{\"a\":\"ä\\n\",\"z\":1}]}\n");
    }
}
