//! The keys that a configuration's type reads. Takes a type; gives its field names.
//!
//! Published files have keys of other architectures that are off (`"use_mrope": false`, `"mlp_bias": false`). These change nothing, and only
//! their names distinguish them from keys that are read.

use serde::{
    de::{DeserializeOwned, Deserializer, Error as _, Visitor, value::Error},
    forward_to_deserialize_any,
};
use serde_json::Value;

/// Returns the names of the fields that a struct is read from.
pub(crate) fn known_keys<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // The deserializer records the names and then fails, so there is no struct.
    drop(T::deserialize(Names(&mut names)));
    names
}

/// Returns whether a value switches nothing on.
pub(crate) fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::String(_) => false,
    }
}

/// A deserializer that records the field names of a struct and gives no value.
struct Names<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        *self.0 = fields;
        Err(Error::custom("only the names were asked for"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("it is no struct"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq
        tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Config {
        hidden_size: usize,
        #[serde(skip)]
        skipped: usize,
        mlp_bias: bool,
    }

    #[test]
    fn names_are_those_that_are_read() {
        assert_eq!(known_keys::<Config>(), ["hidden_size", "mlp_bias"]);
        assert!(known_keys::<String>().is_empty());
        let read: Config = serde_json::from_str(r#"{"hidden_size": 3, "mlp_bias": true}"#).unwrap();
        assert_eq!(read, Config { hidden_size: 3, skipped: 0, mlp_bias: true });
    }
}
