//! A person's corrections. Takes a file of verdicts and the judge's verdicts; gives the judge's verdicts, corrected.

use std::collections::BTreeMap;

use engine::{Context, File, StageError};
use serde::Deserialize;

use crate::{
    llm::recording,
    rows::{Grade, Split},
};

/// A person's verdict on one answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Override {
    id: String,
    model: String,
    verdict: Grade,
    /// A note for people.
    #[serde(default)]
    #[expect(dead_code, reason = "it may be in the file, and decides nothing")]
    reason: Option<String>,
}

/// The number of verdicts in a file, and of those among them that changed the judge's.
pub(crate) struct Applied {
    pub given: usize,
    pub changed: usize,
}

/// Reads the verdicts with their line numbers, from CSV with a header if the file's name ends in `.csv`, else from JSON lines.
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

/// Replaces the judge's verdicts by those of the file.
///
/// # Errors
/// The file cannot be read, or has a verdict on an answer that was not judged.
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
