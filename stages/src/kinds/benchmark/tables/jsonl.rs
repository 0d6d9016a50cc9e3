//! JSON lines. Takes a file with any columns; gives questions. Errors name file, line and column.

use engine::{Context, File, StageError};

use super::{
    columns,
    row::{self, Place, Row, Rows},
};
use crate::{
    kinds::benchmark::{
        draft::Draft,
        loader::{Benchmark, Reads, Settings},
    },
    llm::recording::{lines, malformed},
};

pub(crate) const BENCHMARK: Benchmark = Benchmark {
    name: "jsonl",
    summary: "any file of JSON lines",
    example: "{ name: jsonl, path: questions.jsonl }",
    version: 1,
    reads: Reads::File,
    published: &[],
    load,
};

fn load(ctx: &Context, settings: &Settings<'_>) -> Result<Vec<Draft>, StageError> {
    let file = settings.file()?;
    row::drafts(file, rows(ctx, file)?, columns::HELP, |_, row| columns::draft(row, settings.columns))
}

/// Returns the rows of a file of JSON lines.
pub(crate) fn rows<'a>(ctx: &Context, file: &'a File) -> Result<Rows<'a>, StageError> {
    Ok(Box::new(lines(ctx, file)?.map(|line| {
        let (number, line) = line?;
        let value = serde_json::from_str(&line).map_err(|error| malformed(file, number, &error))?;
        Ok(Row { place: Place::Line(number), value })
    })))
}
