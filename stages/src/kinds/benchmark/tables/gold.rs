//! The right answers of a row. Takes the value of its column; gives every text that counts as right or, with choices, the letters of the
//! right ones.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};
use serde_json::{Map, Value};

use super::{literal::python, value::text};
use crate::kinds::benchmark::choices::{letter, letter_of};

/// How a number in the column of the right answer is read, where there are choices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Index {
    /// The index of the right choice, counted from this number: 0 or 1.
    From(u8),
    /// The text of the right choice.
    None,
}

/// Returns the right answers in a column: a text, a number, a truth value, a list of them, or an object with a value and its aliases.
pub(super) fn gold(column: &str, value: &Value, choices: &[String], index: Option<Index>) -> Result<Vec<String>, String> {
    if value.is_null() {
        return Err(format!("`{column}` is neither text nor a list of texts, but empty"));
    }
    let values = values(value).ok_or_else(|| format!("`{column}` is neither text nor a list of texts"))?;
    let mut gold: Vec<String> = Vec::new();
    for value in values {
        let one = text(value).ok_or_else(|| format!("`{column}` is neither text nor a list of texts"))?;
        if one.trim().is_empty() {
            return Err(format!("`{column}` is empty"));
        }
        let one = match (choices, index, value) {
            ([], Some(Index::From(_)), _) => {
                return Err(format!("`{column}` is the index of a choice, and there are no choices"));
            }
            ([], ..) => one,
            (_, Some(Index::From(base)), _) => choice(column, &one, choices, base)?,
            (_, _, Value::Bool(truth)) => truth_of(*truth, choices).map_or_else(|| letter_of(&one, choices), Ok)?,
            (_, Some(Index::None), _) => place_of(&one, choices)?,
            (_, None, _) => {
                refuse_index(column, &one, choices)?;
                letter_of(&one, choices)?
            }
        };
        if !gold.contains(&one) {
            gold.push(one);
        }
    }
    if gold.is_empty() { Err(format!("`{column}` is empty")) } else { Ok(gold) }
}

/// Names under which an object has its value, and its aliases.
const VALUES: [&str; 3] = ["value", "text", "answer"];
const ALIASES: &str = "aliases";

fn values(value: &Value) -> Option<Vec<&Value>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::Array(items) => items.iter().map(values).collect::<Option<Vec<_>>>().map(|items| items.concat()),
        Value::Object(fields) => {
            let main = VALUES.iter().find_map(|name| named(fields, name))?;
            let mut all = values(main)?;
            all.extend(named(fields, ALIASES).map_or(Some(Vec::new()), values)?);
            Some(all)
        }
        one => Some(vec![one]),
    }
}

/// Returns a field by its name, in whatever case.
fn named<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Returns the letter of the choice with an index.
pub(crate) fn choice(column: &str, gold: &str, choices: &[String], base: u8) -> Result<String, String> {
    // Tables with empty cells have whole numbers as 2.0.
    let number = gold.trim().trim_end_matches(".0").parse::<usize>().ok();
    let place = number.and_then(|number| number.checked_sub(base.into())).filter(|place| *place < choices.len());
    place
        .and_then(letter)
        .map(str::to_owned)
        .ok_or_else(|| format!("`{column}` is `{gold}`, which is no index of {} choices, counted from {base}", choices.len()))
}

/// Returns the letter of the choice with a text.
fn place_of(gold: &str, choices: &[String]) -> Result<String, String> {
    let mut places = (0..choices.len()).filter(|place| choices[*place] == gold);
    match (places.next(), places.next()) {
        (Some(place), None) => letter(place).map(str::to_owned).ok_or_else(|| format!("there are {} choices", choices.len())),
        _ => letter_of(gold, choices),
    }
}

/// Returns the letter of the choice that says yes, or the one that says no.
fn truth_of(truth: bool, choices: &[String]) -> Option<String> {
    let words = if truth { ["true", "yes"] } else { ["false", "no"] };
    let mut places =
        (0..choices.len()).filter(|place| words.iter().any(|word| choices[*place].trim().eq_ignore_ascii_case(word)));
    match (places.next(), places.next()) {
        (Some(place), None) => letter(place).map(str::to_owned),
        _ => None,
    }
}

/// Refuses a number that may be an index: nothing in a row says whether it is one, or from which number it counts.
fn refuse_index(column: &str, gold: &str, choices: &[String]) -> Result<(), String> {
    match gold.trim().parse::<usize>() {
        Ok(number) if number <= choices.len() => {
            let text = if choices.iter().any(|choice| choice == gold) { " or its text" } else { "" };
            Err(format!(
                "`{column}` is {number}, which may be the index of a choice{text}; say `columns: {{ gold_index: 0 }}` if it counts from 0, `1` \
                 if it counts from 1, `none` if it is a text"
            ))
        }
        _ => Ok(()),
    }
}

/// Returns what a cell of a format without lists stands for: a list of texts, or an object, that JSON or Python wrote; else the text.
pub(super) fn cell(column: &str, value: &Value, index: Option<Index>) -> Result<Value, String> {
    let Value::String(written) = value else { return Ok(value.clone()) };
    if !written.trim_start().starts_with(['[', '{']) {
        return Ok(value.clone());
    }
    let parsed = serde_json::from_str(written).ok().or_else(|| python(written));
    match parsed {
        Some(Value::Array(items)) if items.iter().any(|item| !item.is_number()) || matches!(index, Some(Index::From(_))) => {
            Ok(Value::Array(items))
        }
        Some(Value::Array(items)) if !items.is_empty() => Err(format!(
            "`{column}` is `{written}`, which may be a list of right answers or one; put the numbers of a list in quotes: `[\"1\", \"2\"]`, or \
             write the rows as JSON lines"
        )),
        Some(parsed @ (Value::Array(_) | Value::Object(_))) => Ok(parsed),
        _ => Ok(value.clone()),
    }
}

impl Serialize for Index {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::From(base) => serializer.serialize_u8(*base),
            Self::None => serializer.serialize_str("none"),
        }
    }
}

impl<'de> Deserialize<'de> for Index {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl Visitor<'_> for Either {
            type Value = Index;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("0, 1 or `none`")
            }

            fn visit_u64<E: Error>(self, base: u64) -> Result<Index, E> {
                match u8::try_from(base) {
                    Ok(base @ 0..=1) => Ok(Index::From(base)),
                    _ => Err(E::custom("an index counts from 0 or 1")),
                }
            }

            fn visit_i64<E: Error>(self, base: i64) -> Result<Index, E> {
                self.visit_u64(u64::try_from(base).unwrap_or(u64::MAX))
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Index, E> {
                match word {
                    "0" => Ok(Index::From(0)),
                    "1" => Ok(Index::From(1)),
                    "none" => Ok(Index::None),
                    _ => Err(E::custom("an index counts from 0 or 1; `none` is for a text")),
                }
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for Index {
    fn schema_name() -> Cow<'static, str> {
        "Index".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": [0, 1, "none"] })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn choices(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn an_index_is_one_only_if_it_is_said() {
        let numbers = choices(&["8", "2", "24", "120"]);
        let read = |value: Value, index| gold("answer", &value, &numbers, index);
        for value in [json!(2), json!("2"), json!(0), json!([4])] {
            let told = read(value, None).unwrap_err();
            assert!(told.contains("may be the index of a choice"), "{told}");
        }
        assert_eq!(read(json!(2), Some(Index::From(0))).unwrap(), ["C"]);
        assert_eq!(read(json!("2.0"), Some(Index::From(1))).unwrap(), ["B"]);
        assert_eq!(read(json!(2), Some(Index::None)).unwrap(), ["B"]);
        assert_eq!(read(json!("24"), None).unwrap(), ["C"]);
        assert_eq!(read(json!("D"), None).unwrap(), ["D"]);
        assert_eq!(read(json!([0, 3]), Some(Index::From(0))).unwrap(), ["A", "D"]);
        for (value, base) in [(json!(4), 0), (json!(0), 1), (json!("B"), 0), (json!(-1), 0), (json!(1.5), 0)] {
            let told = read(value, Some(Index::From(base))).unwrap_err();
            assert!(told.contains("no index of 4 choices"), "{told}");
        }
        assert!(gold("g", &json!(1), &[], Some(Index::From(0))).unwrap_err().contains("no choices"));
    }

    #[test]
    fn truth_values_and_aliases_are_texts() {
        assert_eq!(gold("g", &json!(true), &[], None).unwrap(), ["true"]);
        assert_eq!(gold("g", &json!(false), &choices(&["Yes", "No"]), None).unwrap(), ["B"]);
        let row = json!({ "Value": "Oslo", "Aliases": ["Oslo", "Christiania"], "Type": "WikipediaEntity" });
        assert_eq!(gold("g", &row, &[], None).unwrap(), ["Oslo", "Christiania"]);
        let row = json!({ "text": ["a", "a", "b"], "answer_start": [1, 1, 4] });
        assert_eq!(gold("g", &row, &[], None).unwrap(), ["a", "b"]);
    }

    #[test]
    fn what_is_empty_is_refused() {
        for value in [json!([]), json!(""), json!(" "), json!(["a", ""]), json!([null]), json!({ "value": [] })] {
            assert_eq!(gold("g", &value, &[], None).unwrap_err(), "`g` is empty", "{value}");
        }
        assert_eq!(gold("g", &json!({}), &[], None).unwrap_err(), "`g` is neither text nor a list of texts");
    }

    #[test]
    fn a_cell_is_a_list_only_if_it_can_be_nothing_else() {
        let read = |text: &str| cell("g", &json!(text), None);
        assert_eq!(read(r#"["a", "b"]"#).unwrap(), json!(["a", "b"]));
        assert_eq!(read("['it\\'s', \"b\"]").unwrap(), json!(["it's", "b"]));
        assert_eq!(read("['a' 'b']").unwrap(), json!(["a", "b"]));
        assert_eq!(read("{'text': ['a'], 'answer_start': [3]}").unwrap(), json!({ "text": ["a"], "answer_start": [3] }));
        for text in ["[0, 1)", "[sic] he said", "{1, 2}", "[x]", "a, b"] {
            assert_eq!(read(text).unwrap(), json!(text));
        }
        assert!(read("[1, 2]").unwrap_err().contains("may be a list"));
    }
}
