//! A file of a person's verdicts → the judge's verdicts, corrected.

use std::collections::BTreeMap;

use engine::{Context, File, StageError};
use serde::Deserialize;

use crate::{
    llm::recording,
    rows::{Grade, Split},
};

/// What a person says of one answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Override {
    id: String,
    model: String,
    verdict: Grade,
    /// For people.
    #[serde(default)]
    #[expect(dead_code, reason = "it may be in the file, and decides nothing")]
    reason: Option<String>,
}

/// How many verdicts a file has, and how many of them are others than the judge's.
pub(crate) struct Applied {
    pub given: usize,
    pub changed: usize,
}

/// Reads CSV where the first line names columns, else JSON lines; with each line's number.
fn read(ctx: &Context, file: &File) -> Result<Vec<(usize, Override)>, StageError> {
    if !file.name().to_lowercase().ends_with(".csv") {
        let parse = |line: Result<(usize, String), StageError>| {
            let (number, line) = line?;
            let read = serde_json::from_str(&line).map_err(|error| recording::malformed(file, number, &error))?;
            Ok((number, read))
        };
        return recording::lines(ctx, file)?.map(parse).collect();
    }
    let mut reader = csv::Reader::from_reader(file.open(ctx)?);
    let mut read = Vec::new();
    for row in reader.deserialize() {
        let row = row.map_err(|error| {
            let line = error.position().map_or(1, csv::Position::line);
            StageError::failed(format!("`{}`, line {line}: {error}", file.name()))
                .help("the columns are `id`, `model`, `verdict` and, if you like, `reason`")
        })?;
        read.push((read.len() + 2, row));
    }
    Ok(read)
}

/// Puts the file's verdicts in place of the judge's.
pub(crate) fn apply(
    ctx: &Context,
    file: &File,
    questions: &mut BTreeMap<String, (Split, BTreeMap<String, Grade>)>,
) -> Result<Applied, StageError> {
    let mut applied = Applied { given: 0, changed: 0 };
    for (line, Override { id, model, verdict, .. }) in read(ctx, file)? {
        let unknown = |what: String| {
            StageError::failed(format!("`{}`, line {line}: {what}", file.name())).help("correct the line, or take it out")
        };
        let (_, verdicts) =
            questions.get_mut(&id).ok_or_else(|| unknown(format!("no question with the id `{id}` was judged")))?;
        let known = verdicts.keys().cloned().collect::<Vec<_>>().join(", ");
        let was = verdicts
            .get_mut(&model)
            .ok_or_else(|| unknown(format!("no answer of `{model}` to `{id}` was judged; {known} were")))?;
        applied.given += 1;
        applied.changed += usize::from(*was != verdict);
        *was = verdict;
    }
    Ok(applied)
}
