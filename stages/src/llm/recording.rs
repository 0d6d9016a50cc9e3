//! Files of recorded answers. Takes JSON lines; gives rows with a question's id and, by model, text, verdict and token counts.

use std::{collections::BTreeMap, io::BufRead as _};

use engine::{Context, File, StageError, without_place};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

use super::request::Reply;
use crate::rows::{Grade, Outcome, Usage};

/// One question with what several models answered.
#[derive(Debug, Deserialize)]
pub(crate) struct Recording {
    /// The question's id.
    pub id: String,
    /// The answers by model.
    #[serde(default)]
    pub answers: BTreeMap<String, Recorded>,
}

/// One recorded answer. Token counts are real ones or, with the prefix `est_`, estimates.
#[derive(Debug, Deserialize)]
pub(crate) struct Recorded {
    /// The answer, if it was published.
    #[serde(default)]
    pub text: Option<String>,
    /// The verdict of its grader, if it was graded.
    #[serde(default, deserialize_with = "verdict")]
    pub verdict: Option<Grade>,
    #[serde(default)]
    pub(crate) input: Option<u64>,
    #[serde(default)]
    pub(crate) output: Option<u64>,
    #[serde(default)]
    pub(crate) thinking: Option<u64>,
    #[serde(default)]
    pub(crate) cached: Option<u64>,
    #[serde(default)]
    pub(crate) est_in: Option<u64>,
    #[serde(default)]
    pub(crate) est_out: Option<u64>,
}

/// Reads a verdict in the spellings of benchmarks' graders.
fn verdict<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Grade>, D::Error> {
    spelled(&Value::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// Returns the grade that a verdict says: in words, as a truth value, as 1 or 0, or as the letter of `SimpleQA`'s grader.
///
/// # Errors
/// A sentence that names the verdict, if it is none of these.
fn spelled(verdict: &Value) -> Result<Option<Grade>, String> {
    let text = match verdict {
        Value::Null => return Ok(None),
        Value::Bool(right) => return Ok(Some(if *right { Grade::Correct } else { Grade::Incorrect })),
        Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), |number| number.to_string()),
        Value::String(text) => text.trim().to_lowercase().replace(['_', '-'], " "),
        other => other.to_string(),
    };
    match text.as_str() {
        "" => Ok(None),
        "correct" | "right" | "true" | "yes" | "pass" | "passed" | "1" | "a" => Ok(Some(Grade::Correct)),
        "incorrect" | "wrong" | "false" | "no" | "fail" | "failed" | "0" | "b" | "not correct" => Ok(Some(Grade::Incorrect)),
        "idk" | "not attempted" | "unattempted" | "unknown" | "i don't know" | "c" => Ok(Some(Grade::Idk)),
        _ => Err(format!(
            "the verdict {verdict} is none that is known: write correct, incorrect or idk (true and false, 1 and 0, A, B and C as of \
             SimpleQA's grader, and not_attempted are read too)"
        )),
    }
}

impl Recorded {
    /// Returns the recorded answer as a reply of the model.
    pub(crate) fn reply(&self, model: &str) -> Reply {
        let text = self.text.clone().filter(|text| !text.trim().is_empty());
        // A verdict shows that there was an answer, even if its text was not published.
        let answered = text.is_some() || self.verdict.is_some();
        Reply {
            text,
            outcome: if answered { Outcome::Ok } else { Outcome::Empty },
            finish: String::new(),
            served: model.to_owned(),
            usage: Usage {
                input: self.input.or(self.est_in).unwrap_or(0),
                output: self.output.or(self.est_out).unwrap_or(0),
                thinking: self.thinking.unwrap_or(0),
                cached: self.cached.unwrap_or(0),
                cache_write: 0,
                estimated: self.input.is_none() && self.output.is_none(),
            },
        }
    }
}

/// Reads the reply in a line of answers: in the line itself, or under `answers` by the model's name.
///
/// # Errors
/// A sentence, if there is no text or a field has a wrong type.
pub(crate) fn reply(model: &str, line: &Value) -> Result<Reply, String> {
    let own = line.get("answers").and_then(|answers| answers.get(model)).unwrap_or(line);
    if own.get("text").is_none_or(|text| !text.is_string() && !text.is_null()) {
        return Err("the answer has no `text`".to_owned());
    }
    let recorded = Recorded::deserialize(own).map_err(|error| error.to_string())?;
    Ok(recorded.reply(model))
}

/// Reads a file of recordings. An error names file, line and column.
pub(crate) fn read<'a>(
    ctx: &Context,
    file: &'a File,
) -> Result<impl Iterator<Item = Result<Recording, StageError>> + use<'a>, StageError> {
    Ok(lines(ctx, file)?.map(|line| {
        let (number, line) = line?;
        serde_json::from_str(&line).map_err(|error| malformed(file, number, &error))
    }))
}

/// Returns the lines of a file that are not empty, with their numbers from 1.
pub(crate) fn lines<'a>(
    ctx: &Context,
    file: &'a File,
) -> Result<impl Iterator<Item = Result<(usize, String), StageError>> + use<'a>, StageError> {
    let reader = file.open(ctx)?;
    Ok(reader.lines().enumerate().filter_map(|(index, line)| match line {
        Ok(line) if line.trim().is_empty() => None,
        Ok(line) => Some(Ok((index + 1, line))),
        Err(error) => Some(Err(
            StageError::failed(format!("`{}`, line {}: {error}", file.name(), index + 1)).help("the file must be UTF-8 text")
        )),
    }))
}

/// Builds the error of a malformed line, with its place.
pub(crate) fn malformed(file: &File, line: usize, error: &serde_json::Error) -> StageError {
    StageError::failed(format!("`{}`, line {line}, column {}: {}", file.name(), error.column(), without_place(error)))
        .help("mend the line, or take it out")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn verdicts_are_read_as_graders_spell_them() {
        for (grade, spellings) in [
            (
                Grade::Correct,
                vec![json!("correct"), json!("Correct"), json!("CORRECT "), json!("A"), json!(true), json!(1), json!(1.0)],
            ),
            (Grade::Incorrect, vec![json!("INCORRECT"), json!("B"), json!(false), json!(0), json!("wrong"), json!("No")]),
            (Grade::Idk, vec![json!("idk"), json!("not_attempted"), json!("NOT ATTEMPTED"), json!("C")]),
        ] {
            for spelling in spellings {
                assert_eq!(spelled(&spelling), Ok(Some(grade)), "{spelling}");
            }
        }
        assert_eq!((spelled(&json!(null)), spelled(&json!(""))), (Ok(None), Ok(None)));
        for other in [json!("maybe"), json!(0.5), json!(2), json!(["correct"])] {
            assert!(spelled(&other).unwrap_err().contains(&other.to_string()), "{other}");
        }
    }
}
