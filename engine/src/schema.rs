//! Rust types and a registry → JSON Schema (draft 07) for editors and for readers of rows.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

/// The schema of one type, with its definitions inlined.
pub(crate) fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Some(object) = schema.as_object_mut() {
        object.remove("$schema");
        object.remove("title");
    }
    schema
}
