//! Parquet. Takes a file with any columns; gives questions. Rows are counted from 1.
//!
//! This file reads the rows. The parquet library trusts what a file claims, so `footer` checks the footer and the page headers before
//! (`thrift` parses them), and `checked` checks each page before it is decoded.

mod checked;
mod footer;
mod thrift;

use std::fs;

use ::parquet::{
    errors::ParquetError, file::reader::FileReader as _, file::serialized_reader::SerializedFileReader, record::reader::RowIter,
};
use checked::Checked;
use engine::{Context, File, StageError};
use serde_json::Value;

use super::{
    columns,
    row::{self, Place, Row, Rows},
};
use crate::{
    guarded::guarded,
    kinds::benchmark::{
        draft::Draft,
        loader::{Benchmark, Reads, Settings},
    },
};

pub(crate) const BENCHMARK: Benchmark = Benchmark {
    name: "parquet",
    summary: "any Parquet file",
    example: "{ name: parquet, path: questions.parquet, columns: { id: number } }",
    version: 1,
    reads: Reads::File,
    published: &[],
    load,
};

fn load(ctx: &Context, settings: &Settings<'_>) -> Result<Vec<Draft>, StageError> {
    let file = settings.file()?;
    row::drafts(file, rows(ctx, file)?, columns::HELP, |_, row| columns::draft(row, settings.columns))
}

const HELP: &str = "write the file again, plain or with snappy or zstd";

/// Returns the rows of a Parquet file.
pub(crate) fn rows<'a>(ctx: &Context, file: &'a File) -> Result<Rows<'a>, StageError> {
    let malformed =
        |place: String, error: ParquetError| StageError::failed(format!("`{}`{place}: {error}", file.name())).help(HELP);
    // Parquet is read from its end, but an input is a stream, so it is copied to a file first.
    let mut copy = tempfile::tempfile_in(ctx.scratch())?;
    std::io::copy(&mut file.open(ctx)?, &mut copy)?;
    let rows = guarded(|| decoded(copy, &malformed));
    let damaged = |reason| StageError::failed(format!("`{}`: {reason}", file.name())).help(HELP);
    let rows = rows.map_err(damaged)??;
    Ok(Box::new(rows.into_iter().enumerate().map(|(index, value)| Ok(Row { place: Place::Row(index + 1), value }))))
}

/// Decodes the rows to JSON values.
///
/// # Panics
/// The library may panic at damaged bytes.
fn decoded(copy: fs::File, malformed: &impl Fn(String, ParquetError) -> StageError) -> Result<Vec<Value>, StageError> {
    footer::check(&copy).map_err(|error| malformed(String::new(), error))?;
    let reader = SerializedFileReader::new(copy).map_err(|error| malformed(String::new(), error))?;
    let mut rows = Vec::new();
    // The reader's own iterator over all row groups panics at a damaged one.
    for group in 0..reader.num_row_groups() {
        let here = |rows: &[_]| format!(", row {}", rows.len() + 1);
        let group = Checked(reader.get_row_group(group).map_err(|error| malformed(here(&rows), error))?);
        for row in RowIter::from_row_group(None, &group).map_err(|error| malformed(here(&rows), error))? {
            let row: ::parquet::record::Row = row.map_err(|error| malformed(here(&rows), error))?;
            rows.push(row.to_json_value());
        }
    }
    Ok(rows)
}
