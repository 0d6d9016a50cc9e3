//! Rows of `MMLU` with named columns, as copies of it in CSV, JSON and Parquet have them. Takes a row; gives a question.
//!
//! The choices are a list in one column, or in columns A to D. In a list the right one is counted from 0, as it is published; elsewhere a
//! number says nothing without `gold_index`.

use serde_json::{Map, Value};

use crate::kinds::benchmark::{
    choices::{letter, letter_of},
    draft::Draft,
    tables::{
        gold::{self, Index},
        value::{list, text},
    },
};

const QUESTION: &[&str] = &["question", "prompt", "input"];
const CHOICES: &[&str] = &["choices", "options"];
const ANSWER: &[&str] = &["answer", "target", "gold", "label"];
const SUBJECT: &[&str] = &["subject", "category"];

/// Reads a question.
///
/// # Errors
/// A sentence that names the column that is missing or has a wrong type.
pub(super) fn draft(row: &Value, index: Option<Index>) -> Result<Draft, String> {
    let question = text(field(row, QUESTION).ok_or("there is no `question`")?).unwrap_or_default();
    if question.trim().is_empty() {
        return Err("`question` is empty".to_owned());
    }
    let listed = field(row, CHOICES);
    let choices = match listed {
        Some(value) => list(value).ok_or("`choices` is no list of texts")?,
        None => (0..4).map(|place| lettered(row, place)).collect::<Result<_, _>>()?,
    };
    if choices.len() != 4 {
        return Err(format!("there are {} choices, and 4 are needed", choices.len()));
    }
    let answer = text(field(row, ANSWER).ok_or("there is no `answer`")?).unwrap_or_default();
    let is_number = answer.trim().parse::<f64>().is_ok();
    let gold = match (index, listed) {
        (Some(Index::From(base)), _) if is_number => gold::choice("answer", &answer, &choices, base)?,
        (None, Some(_)) if is_number => gold::choice("answer", &answer, &choices, 0)?,
        (None, None) if is_number => {
            return Err(format!(
                "`answer` is `{answer}`, which may be the index of a choice; say `columns: {{ gold_index: 0 }}` if it counts from 0, `1` if \
                 it counts from 1"
            ));
        }
        _ => letter_of(answer.trim(), &choices)?,
    };
    let subject = field(row, SUBJECT).filter(|subject| !subject.is_null());
    Ok(Draft {
        question,
        gold: vec![gold],
        choices,
        meta: subject.map(|subject| ("subject".to_owned(), subject.clone())).into_iter().collect::<Map<_, _>>(),
        ..Draft::default()
    })
}

/// Returns the choice in the column of a letter. An empty cell is a choice without text.
fn lettered(row: &Value, place: usize) -> Result<String, String> {
    let letter = letter(place).unwrap_or_default();
    let names = [letter.to_owned(), format!("option_{letter}"), format!("choice_{letter}"), format!("option {letter}")];
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let cell = field(row, &names).ok_or_else(|| format!("there is neither `choices` nor a column `{letter}`"))?;
    if cell.is_null() { Ok(String::new()) } else { text(cell).ok_or_else(|| format!("`{letter}` is no text")) }
}

/// Returns a field by the first of its names that is there, in whatever case.
fn field<'a>(row: &'a Value, names: &[&str]) -> Option<&'a Value> {
    let row = row.as_object()?;
    names.iter().find_map(|name| row.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn copies_name_their_columns() {
        let listed = |answer: Value| {
            draft(&json!({ "question": "2+0?", "subject": "maths", "choices": ["1", "2", "3", "4"], "answer": answer }), None)
        };
        let read = listed(json!(1)).unwrap();
        assert_eq!((read.gold, Value::from(read.meta)), (vec!["B".to_owned()], json!({ "subject": "maths" })));
        assert_eq!(listed(json!("D")).unwrap().gold, ["D"]);
        assert!(listed(json!(4)).err().unwrap().contains("no index of 4 choices"));
        let columns = |answer: &str, index| {
            draft(
                &json!({ "": "0", "Question": "2+0?", "A": "1", "B": "2", "C": "3", "D": "4", "Answer": answer, "Subject": "maths" }),
                index,
            )
        };
        assert_eq!(columns("B", None).unwrap().gold, ["B"]);
        assert!(columns("1", None).err().unwrap().contains("may be the index of a choice"));
        assert_eq!(columns("1", Some(Index::From(1))).unwrap().gold, ["A"]);
    }
}
