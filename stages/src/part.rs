//! Declarations of settings that several objects share. Takes a table of names, types and defaults; gives a struct that reads its own entries
//! from an object.
//!
//! `serde(flatten)` shares fields too, but it reads the object into a buffer first, so that mistakes lose their places in the manifest.

use std::{collections::BTreeSet, fmt, marker::PhantomData};

use schemars::Schema;
use serde::{
    Serialize,
    de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor},
};
use serde_json::{Value, json};

/// The field that an entry of an object fills.
#[derive(Clone, Copy, Debug)]
pub struct Filled {
    /// The field's name.
    pub field: &'static str,
    /// Whether the entry fills the whole field, and not one number of it.
    pub whole: bool,
}

/// Settings that are read from an object, which may have other settings too.
pub trait Part {
    /// Reads the value of an entry if it is one of these settings. Returns whether it is.
    ///
    /// # Errors
    /// The value is of another kind.
    fn set<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error>;

    /// Lists the names of all entries, each with the field that it fills. Our own names come first, then TRL's spellings.
    fn names() -> Vec<(&'static str, Filled)>;

    /// Completes the settings once all entries are read.
    ///
    /// # Errors
    /// Entries contradict each other.
    fn finish(&mut self) -> Result<(), String> {
        Ok(())
    }
}

impl<First: Part, Second: Part> Part for (First, Second) {
    fn set<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        Ok(self.0.set(name, map)? || self.1.set(name, map)?)
    }

    fn names() -> Vec<(&'static str, Filled)> {
        [First::names(), Second::names()].concat()
    }

    fn finish(&mut self) -> Result<(), String> {
        self.0.finish()?;
        self.1.finish()
    }
}

/// A seed that reads no value and fails with a message.
struct Refused<T>(String, PhantomData<T>);

impl<'de, T> DeserializeSeed<'de> for Refused<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, _: D) -> Result<T, D::Error> {
        Err(D::Error::custom(self.0))
    }
}

/// Reads an object whose entries are those of `parts`. Settings that it leaves out keep their values in `parts`.
///
/// # Errors
/// A name belongs to no part, a value is of another kind, or two entries fill the same field.
pub(crate) fn read<'de, D: Deserializer<'de>, P: Part>(deserializer: D, parts: P) -> Result<P, D::Error> {
    struct Entries<P>(P);

    impl<'de, P: Part> Visitor<'de> for Entries<P> {
        type Value = P;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a map")
        }

        fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<P, A::Error> {
            let mut given: Vec<(String, Filled)> = Vec::new();
            while let Some(name) = map.next_key::<String>()? {
                let Some((_, filled)) = P::names().into_iter().find(|(known, _)| *known == name) else {
                    let known = P::names().into_iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                    return Err(A::Error::custom(format_args!("unknown field `{name}`, expected one of {known}")));
                };
                let twice = |had: &&(String, Filled)| had.1.field == filled.field && (had.1.whole || filled.whole);
                if let Some((other, _)) = given.iter().find(twice) {
                    // The value's seed fails, so that the mistake is reported at this entry.
                    return map
                        .next_value_seed(Refused(format!("`{name}` and `{other}` are two names of one setting"), PhantomData));
                }
                self.0.set(&name, &mut map)?;
                given.push((name, filled));
            }
            self.0.finish().map_err(A::Error::custom)?;
            Ok(self.0)
        }
    }

    deserializer.deserialize_map(Entries(parts))
}

/// Completes the schema of an object that is read by [`read`]: other spellings, the object's own defaults, and no further entries.
pub(crate) fn complete<P: Part>(schema: &mut Schema, defaults: &impl Serialize) {
    let defaults = serde_json::to_value(defaults).unwrap_or_default();
    let Some(object) = schema.as_object_mut() else { return };
    object.remove("unevaluatedProperties");
    object.remove("required");
    object.insert("additionalProperties".to_owned(), json!(false));
    let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (name, schema) in properties.iter_mut() {
        if let (Some(default), Some(schema)) = (defaults.get(name), schema.as_object_mut()) {
            schema.insert("default".to_owned(), default.clone());
        }
    }
    let own: BTreeSet<String> = properties.keys().cloned().collect();
    for (name, Filled { field, whole }) in P::names().into_iter().filter(|(name, _)| !own.contains(*name)) {
        let mut other = if whole { properties.get(field).cloned().unwrap_or_default() } else { json!({ "type": "number" }) };
        if let Some(other) = other.as_object_mut() {
            other.insert(
                "description".to_owned(),
                json!(if whole { format!("TRL's name of `{field}`.") } else { format!("TRL's name of a number in `{field}`.") }),
            );
            other.remove("default");
        }
        properties.insert(name.to_owned(), other);
    }
}

/// Declares a struct of settings: `name | other_name: Kind = default`. Names in `also` fill one number of the field above them. With `finish`, a
/// field without an entry of its own stores such numbers until a method applies them, once all entries are read.
macro_rules! settings {
    (
        $(#[$meta:meta])*
        $visibility:vis struct $name:ident {
            $($(#[$field_meta:meta])* $field:ident $(| $other:ident)* : $kind:ty = $default:expr,)*
        }
        $(also { $($of:ident { $($part:ident : $part_kind:ty = $place:ident . $inner:ident,)* })* })?
        $(finish { $pending:ident : $pending_kind:ty => $finish:ident })?
    ) => {
        #[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
        $(#[$meta])*
        $visibility struct $name {
            $($(#[$field_meta])* $visibility $field: $kind,)*
            $(#[serde(skip)] #[schemars(skip)] #[doc = "What is read and not yet settled."] $visibility $pending: $pending_kind,)?
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* $($pending: Default::default(),)? }
            }
        }

        impl $crate::part::Part for $name {
            fn set<'de, A: serde::de::MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
                match name {
                    $(stringify!($field) $(| stringify!($other))* => self.$field = map.next_value()?,)*
                    $($($(stringify!($part) => self.$place.$inner = map.next_value::<$part_kind>()?,)*)*)?
                    _ => return Ok(false),
                }
                Ok(true)
            }

            fn names() -> Vec<(&'static str, $crate::part::Filled)> {
                use $crate::part::Filled;
                vec![
                    $((stringify!($field), Filled { field: stringify!($field), whole: true }),)*
                    $($((stringify!($other), Filled { field: stringify!($field), whole: true }),)*)*
                    $($($((stringify!($part), Filled { field: stringify!($of), whole: false }),)*)*)?
                ]
            }

            $(fn finish(&mut self) -> Result<(), String> {
                self.$finish()
            })?
        }
    };
}
pub(crate) use settings;
