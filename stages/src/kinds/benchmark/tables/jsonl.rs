//! JSON lines, or one JSON document with rows. Takes a file with any columns; gives questions. Errors name file, line and column.

use engine::{Context, File, StageError};

use super::{
    columns::{self, Cells},
    json,
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
    summary: "any file of JSON lines, or with a JSON array of rows",
    example: "{ name: jsonl, path: questions.jsonl }",
    version: 2,
    reads: Reads::File,
    published: &[],
    load,
};

fn load(ctx: &Context, settings: &Settings<'_>) -> Result<Vec<Draft>, StageError> {
    let file = settings.file()?;
    let question = settings.columns.question.split('.').next();
    let rows = json::rows(ctx, file, question)?;
    row::drafts(file, rows, columns::HELP, |_, row| columns::draft(row, settings.columns, Cells::Values))
}

/// Returns the rows of a file of JSON lines.
pub(crate) fn rows<'a>(ctx: &Context, file: &'a File) -> Result<Rows<'a>, StageError> {
    Ok(Box::new(lines(ctx, file)?.map(|line| {
        let (number, line) = line?;
        let value = serde_json::from_str(&line).map_err(|error| malformed(file, number, &error))?;
        Ok(Row { place: Place::Line(number), value })
    })))
}
