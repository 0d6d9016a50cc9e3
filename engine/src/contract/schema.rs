//! JSON Schema (draft 07). Takes a Rust type; gives its schema, for editors and for readers of rows.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

/// Returns the schema of one type, with its definitions inlined.
pub(crate) fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Some(object) = schema.as_object_mut() {
        object.remove("$schema");
        object.remove("title");
    }
    drop_null_defaults(&mut schema);
    schema
}

/// Removes `default: null`, because yaml-language-server stops completing at the first property that has one.
fn drop_null_defaults(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
            object.values_mut().for_each(drop_null_defaults);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_null_defaults),
        _ => {}
    }
}
