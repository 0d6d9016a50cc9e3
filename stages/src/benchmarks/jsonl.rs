//! A file of JSON lines with any columns → questions. Errors name file, line and column.

use engine::StageError;
use serde_json::{Map, Value};

use super::{Benchmark, Columns, Draft, Settings};
use crate::recording::{lines, malformed};

pub(super) const BENCHMARK: Benchmark = Benchmark { name: "jsonl", version: 1, reads_file: true, load };

fn load(ctx: &engine::Context, settings: &Settings<'_>) -> Result<Vec<Draft>, StageError> {
    let file = settings.path.ok_or_else(|| StageError::failed("benchmark `jsonl` reads a file, and none is named"))?;
    lines(ctx, file)?
        .map(|line| {
            let (number, line) = line?;
            let row: Value = serde_json::from_str(&line).map_err(|error| malformed(file, number, &error))?;
            draft(&row, settings.columns).map_err(|message| {
                StageError::failed(format!("`{}`, line {number}: {message}", file.name()))
                    .help("say which columns hold what: `columns: { id: …, question: …, gold: … }`")
            })
        })
        .collect()
}

fn draft(row: &Value, columns: &Columns) -> Result<Draft, String> {
    let missing = |column: &str| format!("there is no `{column}`");
    let id = match field(row, &columns.id) {
        None | Some(Value::Null) => None,
        Some(value) => Some(text(value).ok_or_else(|| format!("`{}` is neither text nor number", columns.id))?),
    };
    let question = field(row, &columns.question).ok_or_else(|| missing(&columns.question))?;
    let gold = field(row, &columns.gold).ok_or_else(|| missing(&columns.gold))?;
    let gold = match gold {
        Value::Array(items) => items.iter().map(text).collect::<Option<Vec<_>>>(),
        one => text(one).map(|one| vec![one]),
    };
    Ok(Draft {
        id,
        question: text(question).ok_or_else(|| format!("`{}` is no text", columns.question))?,
        gold: gold.ok_or_else(|| format!("`{}` is neither text nor a list of texts", columns.gold))?,
        meta: match field(row, &columns.meta) {
            Some(Value::Object(meta)) => meta.clone(),
            None | Some(Value::Null) => Map::new(),
            Some(other) => Map::from_iter([(columns.meta.clone(), other.clone())]),
        },
        ..Draft::default()
    })
}

fn field<'a>(row: &'a Value, path: &str) -> Option<&'a Value> {
    // A name with a dot in it comes before a path.
    row.get(path).or_else(|| path.split('.').try_fold(row, |value, name| value.get(name)))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_say_where_things_are() {
        let columns = Columns { id: "n".into(), question: "meta.asked".into(), gold: "a".into(), ..Columns::default() };
        let row = json!({ "n": 7, "a": ["x", 2], "meta": { "asked": "Why?" } });
        let draft = draft(&row, &columns).unwrap();
        assert_eq!(
            (draft.id.as_deref(), draft.question.as_str(), draft.gold),
            (Some("7"), "Why?", vec!["x".to_owned(), "2".to_owned()])
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(draft(&json!({ "gold": "x" }), &Columns::default()).err().unwrap(), "there is no `question`");
        assert_eq!(
            draft(&json!({ "question": "x", "gold": {} }), &Columns::default()).err().unwrap(),
            "`gold` is neither text nor a list of texts"
        );
    }
}
