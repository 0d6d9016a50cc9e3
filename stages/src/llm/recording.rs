//! Files of recorded answers. Takes JSON lines; gives rows with a question's id and, by model, text, verdict and token counts.

use std::{collections::BTreeMap, io::BufRead as _};

use engine::{Context, File, StageError, without_place};
use serde::Deserialize;
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
    #[serde(default)]
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
            reasoning: String::new(),
            error: String::new(),
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
