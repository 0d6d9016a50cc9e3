//! Canonical JSON. Takes a value; gives its only JSON text: keys sorted at every depth, no spaces. Equal rows are equal bytes.

use serde::Serialize;
use serde_json::{Error, Value};

/// Returns the value as one line, with the end of the line.
pub(crate) fn line(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut text = text(value)?;
    text.push(b'\n');
    Ok(text)
}

/// Returns the value without an end of line.
pub(crate) fn text(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut text = Vec::with_capacity(256);
    write(&mut text, &serde_json::to_value(value)?)?;
    Ok(text)
}

// The order of serde_json's own maps depends on a feature that any dependency may turn on.
fn write(text: &mut Vec<u8>, value: &Value) -> Result<(), Error> {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            text.push(b'{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                serde_json::to_writer(&mut *text, key)?;
                text.push(b':');
                write(text, value)?;
            }
            text.push(b'}');
        }
        Value::Array(items) => {
            text.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                write(text, item)?;
            }
            text.push(b']');
        }
        scalar => serde_json::to_writer(text, scalar)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn keys_are_sorted_at_every_depth() {
        let value = json!({ "b": [{ "z": 1, "a": "ä\n" }], "a": null });
        assert_eq!(String::from_utf8(super::line(&value).unwrap()).unwrap(), "{\"a\":null,\"b\":[{\"a\":\"ä\\n\",\"z\":1}]}\n");
    }
}
