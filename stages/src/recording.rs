//! A file of recorded answers → its rows: question, and per model text, verdict and token counts.

use std::{collections::BTreeMap, io::BufRead as _};

use engine::{Context, File, StageError, without_place};
use serde::Deserialize;

use crate::rows::Grade;

/// One question with what several models answered.
#[derive(Debug, Deserialize)]
pub(crate) struct Recording {
    /// The question's id.
    pub id: String,
    /// The answers by model.
    #[serde(default)]
    pub answers: BTreeMap<String, Recorded>,
}

/// One recorded answer. Counts of tokens are real ones or, with `est_` in front, estimates.
#[derive(Debug, Deserialize)]
pub(crate) struct Recorded {
    /// The answer, if it was published.
    #[serde(default)]
    pub text: Option<String>,
    /// What its grader said.
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

/// Reads a file of recordings; an error names file, line and column.
pub(crate) fn read<'a>(
    ctx: &Context,
    file: &'a File,
) -> Result<impl Iterator<Item = Result<Recording, StageError>> + use<'a>, StageError> {
    Ok(lines(ctx, file)?.map(|line| {
        let (number, line) = line?;
        serde_json::from_str(&line).map_err(|error| malformed(file, number, &error))
    }))
}

/// The lines of a file that are not empty, with their numbers from 1.
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

/// What is wrong with a line, and where.
pub(crate) fn malformed(file: &File, line: usize, error: &serde_json::Error) -> StageError {
    StageError::failed(format!("`{}`, line {line}, column {}: {}", file.name(), error.column(), without_place(error)))
        .help("mend the line, or take it out")
}
