//! Typed values. Takes a YAML value; gives a typed value, or all that is wrong with its fields.

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use serde_yaml::Value;

/// What is wrong with a field, and its path.
pub(crate) type FieldError = serde_path_to_error::Error<serde_yaml::Error>;

/// Reads `value`, or returns an error for each field that has one.
pub(crate) fn typed<T: DeserializeOwned>(mut value: Value) -> Result<T, Vec<FieldError>> {
    let mut errors: Vec<FieldError> = Vec::new();
    let mut taken = Vec::new();
    loop {
        let error = match serde_path_to_error::deserialize::<_, T>(value.clone()) {
            Ok(read) if errors.is_empty() => return Ok(read),
            Ok(_) => return Err(errors),
            Err(error) => error,
        };
        let field = field(&error);
        if taken.contains(&field) {
            return Err(errors);
        }
        errors.push(error);
        // serde stops at the first mistake; without that field it goes on to the next.
        let removed = field.as_ref().and_then(|name| value.as_mapping_mut()?.shift_remove(name.as_str()));
        if removed.is_none() {
            return Err(errors);
        }
        taken.push(field);
    }
}

/// Returns the outermost field that an error is about.
fn field(error: &FieldError) -> Option<String> {
    match error.path().iter().next() {
        Some(Segment::Map { key }) => Some(key.clone()),
        _ => error.inner().to_string().split('`').nth(1).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Params {
        path: String,
        count: u32,
        #[serde(default)]
        shares: BTreeMap<String, f64>,
    }

    fn mistakes(text: &str) -> Vec<String> {
        let read = typed::<Params>(serde_yaml::from_str(text).expect("YAML"));
        read.expect_err(text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_field_with_a_mistake_is_named() {
        let told = mistakes("{ path: [], cuont: 3, shares: { one: x, two: 0.5 } }");
        assert_eq!(told.len(), 3, "{told:?}");
        for (told, word) in told.iter().zip(["path", "cuont", "shares.one"]) {
            assert!(told.contains(word), "{told}");
        }
        assert_eq!(mistakes("[]").len(), 1);
        assert_eq!(mistakes("{ path: a }").len(), 1);
        assert!(typed::<Params>(serde_yaml::from_str("{ path: a, count: 1 }").expect("YAML")).is_ok());
    }
}
