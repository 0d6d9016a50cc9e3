//! Rows by their columns. Takes a file of JSON lines; gives rows, and the text or conversation in a column.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
};

use minijinja::{
    Value,
    value::{DynObject, Serde, ValueKind},
};
use serde::Serialize;

use super::PrepareError;
use crate::tokenizer::{TokenizerError, Variables};

/// One row: its values by the names of their columns.
pub type Columns = BTreeMap<String, Value>;

/// The text or the conversation in a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Passage {
    /// A text.
    Text(String),
    /// Turns of a conversation.
    Turns(Vec<Value>),
}

/// Reads the rows of a file. A range selects the rows from its first number to before its second, counted from 0.
///
/// # Errors
/// The file cannot be read, or a line is no JSON object.
pub fn read(path: &Path, range: Option<[usize; 2]>) -> Result<Vec<Columns>, PrepareError> {
    let file = |source| PrepareError::File { path: path.to_owned(), source };
    let [first, end] = range.unwrap_or([0, usize::MAX]);
    let mut rows = Vec::new();
    let lines = BufReader::new(File::open(path).map_err(file)?).lines();
    let lines = lines.filter(|line| line.as_ref().map_or(true, |line| !line.trim().is_empty()));
    for (row, line) in lines.enumerate().skip(first).take(end.saturating_sub(first)) {
        let wrong = |error: serde_json::Error| PrepareError::Shape { row, reason: error.to_string() };
        rows.push(serde_json::from_str(&line.map_err(file)?).map_err(wrong)?);
    }
    Ok(rows)
}

/// Converts a row of one of the pipeline's types to columns.
pub fn of(row: &impl Serialize) -> Columns {
    let row = Value::from(Serde(row));
    let entries = row.as_object().and_then(DynObject::try_iter_pairs).into_iter().flatten();
    entries.map(|(name, value)| (name.to_string(), value)).collect()
}

/// Returns the passage in a column, if the row has it and it is not null.
///
/// # Errors
/// The value is neither a text nor a list of messages.
pub(crate) fn passage(row: &Columns, column: &str) -> Result<Option<Passage>, String> {
    let Some(value) = row.get(column).filter(|value| !value.is_none()) else { return Ok(None) };
    if let Some(text) = value.as_str() {
        return Ok(Some(Passage::Text(text.to_owned())));
    }
    let wrong = || format!("`{column}` is neither a text nor a list of messages with a `role`");
    if value.kind() != ValueKind::Seq {
        return Err(wrong());
    }
    let turns: Vec<Value> = value.try_iter().map_err(|_| wrong())?.map(|turn| renamed(&turn)).collect();
    let with_roles = turns.iter().all(|turn| turn.get_attr("role").is_ok_and(|role| role.as_str().is_some()));
    if with_roles { Ok(Some(Passage::Turns(turns))) } else { Err(wrong()) }
}

/// Returns the messages of a row that is a conversation: `messages`, or `conversations` as in older data sets.
///
/// # Errors
/// As [`passage`].
pub(crate) fn conversation(row: &Columns) -> Result<Option<Passage>, String> {
    Ok(passage(row, "messages")?.or(passage(row, "conversations")?))
}

/// Returns a turn with `from` and `value` renamed to `role` and `content`.
fn renamed(turn: &Value) -> Value {
    if turn.kind() != ValueKind::Map {
        return turn.clone();
    }
    let entries = turn.as_object().and_then(DynObject::try_iter_pairs).into_iter().flatten();
    Value::from_pairs(entries.map(|(key, value)| match key.as_str() {
        Some("from") => (Value::from("role"), value),
        Some("value") => (Value::from("content"), value),
        _ => (key, value),
    }))
}

/// Returns the variables of a template for a row: messages, `tools` (a list, or a JSON text) and `chat_template_kwargs`.
///
/// # Errors
/// `tools` is a text and no JSON.
pub(crate) fn variables(row: &Columns, messages: Vec<Value>, add_generation_prompt: bool) -> Result<Variables, String> {
    let tools = row.get("tools").filter(|tools| !tools.is_none());
    let tools = match tools.and_then(|tools| tools.as_str()) {
        Some(text) => Some(serde_json::from_str(text).map_err(|error| format!("`tools`: {error}"))?),
        None => tools.cloned(),
    };
    let others = row.get("chat_template_kwargs").and_then(|others| others.as_object()?.try_iter_pairs());
    let others = others.into_iter().flatten().map(|(name, value)| (name.to_string(), value)).collect();
    Ok(Variables { messages, add_generation_prompt, tools, others })
}

/// Returns a function that builds the error of a row with wrong columns.
pub(crate) fn at(row: usize) -> impl Fn(String) -> PrepareError + Copy {
    move |reason| PrepareError::Shape { row, reason }
}

/// Returns a function that builds the error of a row that the tokenizer refuses.
pub(crate) fn refused(row: usize) -> impl Fn(TokenizerError) -> PrepareError + Copy {
    move |source| PrepareError::Row { row, source }
}

/// Appends the end token to a text, unless the text ends with it.
pub(crate) fn ended(text: &str, end: &str) -> String {
    if text.ends_with(end) { text.to_owned() } else { format!("{text}{end}") }
}
