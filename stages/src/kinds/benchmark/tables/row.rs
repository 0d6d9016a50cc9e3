//! Rows of a file. Takes a row with its place; gives what a benchmark reads out of it, or an error that names the place.

use std::fmt;

use engine::{File, StageError};
use serde_json::{Map, Value};

use crate::kinds::benchmark::draft::Draft;

/// One row with its place in the file.
pub(crate) struct Row {
    pub place: Place,
    pub value: Value,
}

/// A row's place, as a person would look it up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// A line of a text, from 1.
    Line(usize),
    /// A row of a format without lines, from 1.
    Row(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(out, "line {number}"),
            Self::Row(number) => write!(out, "row {number}"),
        }
    }
}

/// The rows of a file, in their order.
pub(crate) type Rows<'a> = Box<dyn Iterator<Item = Result<Row, StageError>> + 'a>;

/// Turns each row into a question by `draft`, which takes the row's index and the row. An error names the row's place, and has `help`.
pub(crate) fn drafts(
    file: &File,
    rows: Rows<'_>,
    help: &str,
    draft: impl Fn(usize, &Value) -> Result<Draft, String>,
) -> Result<Vec<Draft>, StageError> {
    rows.enumerate()
        .map(|(index, row)| {
            let Row { place, value } = row?;
            draft(index, &value)
                .map_err(|message| StageError::failed(format!("`{}`, {place}: {message}", file.name())).help(help))
        })
        .collect()
}

/// Returns the text of a column.
///
/// # Errors
/// A sentence, if the column is missing, empty or no text.
pub(crate) fn text<'a>(row: &'a Value, column: &str) -> Result<&'a str, String> {
    match row.get(column) {
        None => Err(format!("there is no `{column}`")),
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(text),
        Some(Value::String(_) | Value::Null) => Err(format!("`{column}` is empty")),
        Some(_) => Err(format!("`{column}` is no text")),
    }
}

/// Returns the texts of a column with a list.
///
/// # Errors
/// A sentence, if the column is missing, empty or no list of texts.
pub(crate) fn texts(row: &Value, column: &str) -> Result<Vec<String>, String> {
    let Some(value) = row.get(column) else { return Err(format!("there is no `{column}`")) };
    let texts = value.as_array().map(|items| items.iter().map(|item| item.as_str().map(str::to_owned)).collect());
    match texts {
        Some(Some(texts)) if Vec::is_empty(&texts) => Err(format!("`{column}` is empty")),
        Some(Some(texts)) => Ok(texts),
        _ => Err(format!("`{column}` is no list of texts")),
    }
}

/// Returns those of the columns that are there and not empty, under their names in lower case, for a question's `meta`.
pub(crate) fn meta(row: &Value, columns: &[&str]) -> Map<String, Value> {
    let given = columns.iter().filter_map(|column| Some((column.to_lowercase(), row.get(*column)?.clone())));
    given.filter(|(_, value)| !matches!(value, Value::Null) && value != "").collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_column_must_hold_is_said() {
        let row = json!({ "a": "x", "b": " ", "c": null, "d": 1, "e": ["x"], "f": [], "g": [1] });
        let told: Vec<_> = ["a", "b", "c", "d", "h"].iter().map(|column| text(&row, column).err().unwrap_or_default()).collect();
        assert_eq!(told, ["", "`b` is empty", "`c` is empty", "`d` is no text", "there is no `h`"]);
        let told: Vec<_> = ["e", "f", "g", "a", "h"].iter().map(|column| texts(&row, column).err().unwrap_or_default()).collect();
        let list = |column| format!("`{column}` is no list of texts");
        assert_eq!(told, [String::new(), "`f` is empty".into(), list("g"), list("a"), "there is no `h`".into()]);
        assert_eq!(
            Value::from(meta(&json!({ "A": "x", "B": null, "C": "", "D": 1 }), &["A", "B", "C", "E"])),
            json!({ "a": "x" })
        );
    }
}
