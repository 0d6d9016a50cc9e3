//! JSON lines, or one JSON document with rows. Takes a file with any columns; gives questions. Errors name file, line and column.

use engine::{Context, StageError};

use super::{
    columns::{self, Cells},
    json, row,
};
use crate::kinds::benchmark::{
    draft::Draft,
    loader::{Benchmark, Reads, Settings},
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
