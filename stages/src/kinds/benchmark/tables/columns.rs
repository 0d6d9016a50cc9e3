//! Rows with columns of any names. Takes a row and a map of its columns; gives a question.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{SeqAccess, Visitor, value::SeqAccessDeserializer},
};
use serde_json::{Map, Value};

use super::{
    gold::{self, Index},
    value::{list, text},
};
use crate::kinds::benchmark::draft::Draft;

/// Which fields of a row hold what. A dot goes into an object: `meta.asked`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Columns {
    /// The id; where a row has none, its id is made from the question.
    pub id: String,
    /// The text that models see.
    pub question: String,
    /// A text, a number, a list of them, or an object with a value and its aliases. With `choices`: the letter or the text of the right
    /// one, or its index.
    pub gold: String,
    /// Which number the index of the right choice counts from: 0 or 1; `none`, if a number in `gold` is the text of a choice. Nothing is
    /// guessed: where `gold` may be an index and this is not set, the row is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gold_index: Option<Index>,
    /// The texts to choose from, where it is a multiple choice.
    pub choices: Names,
    /// Texts that are known to be wrong.
    pub wrong: Names,
    /// Whatever else is to be kept.
    pub meta: String,
}

impl Default for Columns {
    fn default() -> Self {
        Self {
            id: "id".to_owned(),
            question: "question".to_owned(),
            gold: "gold".to_owned(),
            gold_index: None,
            choices: Names::One("choices".to_owned()),
            wrong: Names::One("wrong".to_owned()),
            meta: "meta".to_owned(),
        }
    }
}

/// One column with a list of texts in it (in a CSV file, as JSON or as Python writes it), or several columns with a text each.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Names {
    One(String),
    Several(Vec<String>),
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Names;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a column's name or a list of them")
            }

            fn visit_str<E>(self, name: &str) -> Result<Names, E> {
                Ok(Names::One(name.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, names: A) -> Result<Names, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(names)).map(Names::Several)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for Names {
    fn schema_name() -> Cow<'static, str> {
        "Names".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
    }
}

/// What the fields of a row are in its format.
#[derive(Clone, Copy)]
pub(crate) enum Cells {
    /// Values: a list is a list.
    Values,
    /// Texts: a list is written out.
    Texts,
}

pub(crate) const HELP: &str = "say which columns hold what: `columns: { id: …, question: …, gold: … }`";

/// Reads a question from a row.
///
/// # Errors
/// A sentence that names the column that is missing or has a wrong type.
pub(crate) fn draft(row: &Value, columns: &Columns, cells: Cells) -> Result<Draft, String> {
    let missing = |column: &str| format!("there is no `{column}`");
    let id = match field(row, &columns.id) {
        None | Some(Value::Null) => None,
        Some(value) => Some(text(value).ok_or_else(|| format!("`{}` is neither text nor number", columns.id))?),
    };
    let asked = field(row, &columns.question).ok_or_else(|| missing(&columns.question))?;
    let question = text(asked).or_else(|| asked.is_null().then(String::new));
    let question = question.ok_or_else(|| format!("`{}` is no text", columns.question))?;
    if question.trim().is_empty() {
        return Err(format!("`{}` is empty", columns.question));
    }
    let right = field(row, &columns.gold).ok_or_else(|| missing(&columns.gold))?;
    let defaults = Columns::default();
    let choices = texts(row, &columns.choices, &defaults.choices)?;
    let gold = match cells {
        Cells::Values => gold::gold(&columns.gold, right, &choices, columns.gold_index)?,
        Cells::Texts => {
            let right = gold::cell(&columns.gold, right, columns.gold_index)?;
            gold::gold(&columns.gold, &right, &choices, columns.gold_index)?
        }
    };
    Ok(Draft {
        id,
        question,
        gold,
        choices,
        wrong: texts(row, &columns.wrong, &defaults.wrong)?,
        meta: match field(row, &columns.meta) {
            Some(Value::Object(meta)) => meta.clone(),
            None | Some(Value::Null) => Map::new(),
            Some(other) => Map::from_iter([(columns.meta.clone(), other.clone())]),
        },
    })
}

/// Returns the texts of a column with a list, or of several columns. A column may be missing only if its name is the default.
fn texts(row: &Value, names: &Names, default: &Names) -> Result<Vec<String>, String> {
    match names {
        Names::One(name) => match field(row, name) {
            None if names == default => Ok(Vec::new()),
            None => Err(format!("there is no `{name}`")),
            Some(value) => list(value).ok_or_else(|| format!("`{name}` is no list of texts")),
        },
        Names::Several(names) => {
            let mut texts = Vec::new();
            let mut end = None;
            for name in names {
                match field(row, name) {
                    None => return Err(format!("there is no `{name}`")),
                    Some(Value::Null) => end = end.or(Some(name)),
                    // With a gap, the later choices would have other letters than in the file.
                    Some(_) if end.is_some() => {
                        return Err(format!("`{name}` is not empty, and `{}` before it is", end.map_or("", String::as_str)));
                    }
                    Some(value) => texts.push(text(value).ok_or_else(|| format!("`{name}` is neither text nor number"))?),
                }
            }
            Ok(texts)
        }
    }
}

fn field<'a>(row: &'a Value, path: &str) -> Option<&'a Value> {
    // A column whose name contains a dot takes precedence over a path into an object.
    row.get(path).or_else(|| path.split('.').try_fold(row, |value, name| value.get(name)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(row: &Value, columns: &Columns) -> String {
        draft(row, columns, Cells::Values).err().unwrap()
    }

    #[test]
    fn columns_say_where_things_are() {
        let columns = Columns { id: "n".into(), question: "meta.asked".into(), gold: "a".into(), ..Columns::default() };
        let row = json!({ "n": 7, "a": ["x", 2], "meta": { "asked": "Why?" } });
        let draft = draft(&row, &columns, Cells::Values).unwrap();
        assert_eq!(
            (draft.id.as_deref(), draft.question.as_str(), draft.gold),
            (Some("7"), "Why?", vec!["x".to_owned(), "2".to_owned()])
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(refusal(&json!({ "gold": "x" }), &Columns::default()), "there is no `question`");
        assert_eq!(
            refusal(&json!({ "question": "x", "gold": {} }), &Columns::default()),
            "`gold` is neither text nor a list of texts"
        );
        let columns = Columns { wrong: Names::One("bad".into()), ..Columns::default() };
        assert_eq!(refusal(&json!({ "question": "x", "gold": "x" }), &columns), "there is no `bad`");
        let row = json!({ "question": "x", "gold": "x", "wrong": { "a": 1 } });
        assert_eq!(refusal(&row, &Columns::default()), "`wrong` is no list of texts");
    }

    #[test]
    fn choices_stand_in_one_column_or_in_several() {
        let columns: Columns = serde_json::from_value(json!({ "choices": ["a", "b", "c"], "wrong": "w" })).unwrap();
        assert_eq!(serde_json::to_value(&columns).unwrap()["choices"], json!(["a", "b", "c"]));
        let row = |a, b, c| json!({ "question": "?", "gold": "yes", "a": a, "b": b, "c": c, "w": "[\"maybe\", 2]" });
        let read = draft(&row("no", Some("yes"), None), &columns, Cells::Texts).unwrap();
        assert_eq!((read.choices, read.gold), (vec!["no".to_owned(), "yes".into()], vec!["B".to_owned()]));
        assert_eq!(read.wrong, ["maybe", "2"]);
        assert_eq!(refusal(&row("no", None, Some("yes")), &columns), "`c` is not empty, and `b` before it is");

        let row = json!({ "question": "?", "gold": "D", "choices": ["x", "y"] });
        assert_eq!(
            refusal(&row, &Columns::default()),
            "the right answer `D` is neither a letter from A to B nor the text of one choice"
        );
    }
}
