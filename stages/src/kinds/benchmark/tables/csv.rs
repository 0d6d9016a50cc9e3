//! CSV. Takes a file with a header and any columns; gives questions. An empty cell counts as missing.

use engine::{Context, File, StageError};
use serde_json::Value;

use super::{
    columns,
    row::{self, Place, Row, Rows},
};
use crate::kinds::benchmark::{
    draft::Draft,
    loader::{Benchmark, Reads, Settings},
};

pub(crate) const BENCHMARK: Benchmark = Benchmark {
    name: "csv",
    summary: "any CSV file with a header",
    example: "{ name: csv, path: questions.csv, columns: { question: asked, gold: right } }",
    version: 1,
    reads: Reads::File,
    published: &[],
    load,
};

fn load(ctx: &Context, settings: &Settings<'_>) -> Result<Vec<Draft>, StageError> {
    let file = settings.file()?;
    row::drafts(file, rows(ctx, file)?, columns::HELP, |_, row| columns::draft(row, settings.columns))
}

/// Returns the rows of a CSV file with a header. Every cell is a text.
pub(crate) fn rows<'a>(ctx: &Context, file: &'a File) -> Result<Rows<'a>, StageError> {
    let mut reader = ::csv::Reader::from_reader(file.open(ctx)?);
    let header = reader.headers().map_err(|error| malformed(file, &error))?.clone();
    Ok(Box::new(reader.into_records().map(move |record| {
        let record = record.map_err(|error| malformed(file, &error))?;
        let cell = |cell: &str| if cell.is_empty() { Value::Null } else { Value::from(cell) };
        let value = header.iter().zip(&record).map(|(name, text)| (name.to_owned(), cell(text))).collect();
        Ok(Row { place: place(&record), value: Value::Object(value) })
    })))
}

/// Returns the line on which a record begins.
pub(crate) fn place(record: &::csv::StringRecord) -> Place {
    Place::Line(record.position().map_or(0, ::csv::Position::line) as usize)
}

/// Builds the error of a file that is malformed as CSV, with its line.
pub(crate) fn malformed(file: &File, error: &::csv::Error) -> StageError {
    let line = error.position().map(|position| format!(", line {}", position.line())).unwrap_or_default();
    let what = match error.kind() {
        ::csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("there are {len} columns, and {expected_len} in the lines before")
        }
        ::csv::ErrorKind::Utf8 { err, .. } => format!("column {} is no UTF-8 text", err.field() + 1),
        _ => error.to_string(),
    };
    StageError::failed(format!("`{}`{line}: {what}", file.name())).help("mend the line, or take it out")
}
