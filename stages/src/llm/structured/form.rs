//! The form of an object that a model is asked for. Takes its fields; gives the JSON schema that a request has, and says of an object
//! whether it fits.

use serde_json::{Map, Value, json};

use super::outside::MARK;
use crate::llm::request::Request;

/// The fields that an object has: each of them, and no other.
pub(crate) struct Form {
    pub fields: &'static [(&'static str, Field)],
    /// The field that matters. What the text to be read says of it does not count.
    pub decides: &'static str,
}

/// What a field holds.
pub(crate) enum Field {
    Text,
    /// A text that is not blank.
    Sentence,
    Integer,
    Boolean,
    /// One of these texts, in whatever letter case.
    OneOf(&'static [&'static str]),
}

impl Form {
    /// Returns the JSON schema of an object of this form; `marked`, it ends with the mark of the request.
    pub(crate) fn schema(&self, marked: bool) -> Value {
        let fields = self.fields.iter().map(|(name, field)| (*name, field.schema()));
        let fields: Vec<_> = fields.chain(marked.then(|| (MARK, Field::Text.schema()))).collect();
        let required: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
        let properties: Map<_, _> = fields.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
        json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
    }

    /// Returns the request with the schema of this form, if its model takes schemas.
    pub(crate) fn asked_by(&self, mut request: Request, marked: bool) -> Request {
        request.settings.schema = request.settings.schema.map(|_| self.schema(marked));
        request
    }

    /// Checks the fields of an object.
    ///
    /// # Errors
    /// What is wrong with it, as a text for the turn that asks again.
    pub(super) fn check(&self, object: &Map<String, Value>) -> Result<(), String> {
        let (deciding, others): (Vec<_>, Vec<_>) = self.fields.iter().partition(|(name, _)| *name == self.decides);
        for (name, field) in deciding.into_iter().chain(others) {
            let value = object.get(*name).ok_or_else(|| format!("there is no `{name}` in it"))?;
            field.check(name, value)?;
        }
        let is_known = |name: &String| self.fields.iter().any(|(known, _)| known == name);
        if object.keys().all(is_known) { Ok(()) } else { Err("it has a field that was not asked for".to_owned()) }
    }

    /// Returns the texts that the field that decides can hold, if they are few.
    pub(super) fn options(&self) -> &'static [&'static str] {
        self.fields.iter().find_map(|(name, field)| field.options().filter(|_| *name == self.decides)).unwrap_or_default()
    }
}

impl Field {
    fn schema(&self) -> Value {
        match self {
            Self::Text | Self::Sentence => json!({ "type": "string" }),
            Self::Integer => json!({ "type": "integer" }),
            Self::Boolean => json!({ "type": "boolean" }),
            Self::OneOf(options) => json!({ "type": "string", "enum": options }),
        }
    }

    fn options(&self) -> Option<&'static [&'static str]> {
        if let Self::OneOf(options) = self { Some(options) } else { None }
    }

    fn check(&self, name: &str, value: &Value) -> Result<(), String> {
        let problem = match (self, value.as_str()) {
            (Self::Text, Some(_)) => None,
            (Self::Sentence, Some(text)) if !text.trim().is_empty() => None,
            (Self::OneOf(options), Some(text)) => {
                let text = text.trim().to_lowercase();
                let is_none = !options.contains(&text.as_str());
                is_none.then(|| format!("`{text}` is none of {}", options.join(", ")))
            }
            (Self::Text | Self::Sentence | Self::OneOf(_), _) => Some(format!("there is no `{name}` in it")),
            (Self::Integer, _) => {
                let is_whole = value.as_f64().is_some_and(|number| number.fract() == 0.0);
                (!is_whole).then(|| format!("`{name}` is no whole number"))
            }
            (Self::Boolean, _) => (!value.is_boolean()).then(|| format!("`{name}` is neither true nor false")),
        };
        problem.map_or(Ok(()), Err)
    }
}
