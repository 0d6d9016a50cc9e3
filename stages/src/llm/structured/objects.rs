//! The JSON objects in a text. Takes a text; gives its whole objects in their order, wherever they stand.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::Value;

/// An object's fields in the order in which they were written. No two have one name, since readers differ in which one they take.
pub(super) struct Object(pub Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields: Vec<(String, Value)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if fields.iter().any(|(other, _)| *other == name) {
                        return Err(A::Error::custom("a field stands in it twice"));
                    }
                    fields.push((name, value));
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// Reads the objects in a text, and returns what `read` makes of them. An object that it refuses is searched for others inside it.
///
/// # Errors
/// If `read` takes none: why it refuses the last one, or why the text has no whole one.
pub(super) fn each<T>(text: &str, mut read: impl FnMut(Object) -> Result<T, String>) -> Result<Vec<T>, String> {
    let (mut taken, mut refused, mut broken) = (Vec::new(), None, None);
    let mut from = 0;
    while let Some(found) = text[from..].find('{') {
        let start = from + found;
        let mut objects = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Object>();
        from = start + 1;
        match objects.next() {
            Some(Ok(object)) => match read(object) {
                Ok(value) => {
                    taken.push(value);
                    from = start + objects.byte_offset();
                }
                Err(problem) => refused = Some(problem),
            },
            Some(Err(error)) => broken = broken.or_else(|| Some(engine::without_place(&error))),
            None => {}
        }
    }
    if taken.is_empty() {
        return Err(refused.or(broken).unwrap_or_else(|| "there is no JSON object in it".to_owned()));
    }
    Ok(taken)
}
