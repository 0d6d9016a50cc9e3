//! Parquet. Takes a file with any columns; gives questions. Rows are counted from 1.
//!
//! This file reads the rows. The parquet library trusts what a file claims, so `footer` checks the footer and the page headers before
//! (`thrift` parses them, `codec` counts what packed pages unpack to), and `checked` checks each page before it is decoded.

mod checked;
mod codec;
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
    columns::{self, Cells},
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
    version: 2,
    reads: Reads::File,
    published: &[],
    load,
};

fn load(ctx: &Context, settings: &Settings<'_>) -> Result<Vec<Draft>, StageError> {
    let file = settings.file()?;
    row::drafts(file, rows(ctx, file)?, columns::HELP, |_, row| columns::draft(row, settings.columns, Cells::Values))
}

const HELP: &str = "write the file again";

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
    let most = FREE.saturating_add(copy.metadata().map_or(0, |file| file.len()).saturating_mul(RATIO));
    let mut size = 0_u64;
    let reader = SerializedFileReader::new(copy).map_err(|error| malformed(String::new(), error))?;
    let mut rows = Vec::new();
    // The reader's own iterator over all row groups panics at a damaged one.
    for group in 0..reader.num_row_groups() {
        let here = |rows: &[_]| format!(", row {}", rows.len() + 1);
        let group = Checked(reader.get_row_group(group).map_err(|error| malformed(here(&rows), error))?);
        for row in RowIter::from_row_group(None, &group).map_err(|error| malformed(here(&rows), error))? {
            let row: ::parquet::record::Row = row.map_err(|error| malformed(here(&rows), error))?;
            let row = row.to_json_value();
            size = size.saturating_add(memory(&row));
            if size > most {
                let reason = format!("its rows have more than {RATIO} times the size of the file");
                return Err(malformed(here(&rows), ParquetError::General(reason)));
            }
            rows.push(row);
        }
    }
    Ok(rows)
}

/// Bytes of rows that are always accepted.
const FREE: u64 = 256 << 20;

/// Bytes of rows for a byte of the file that are accepted beyond [`FREE`]: a dictionary may have a long text that every row repeats.
const RATIO: u64 = 100;

/// Returns about how much memory a value takes.
fn memory(value: &Value) -> u64 {
    let own = std::mem::size_of::<Value>() as u64;
    own + match value {
        Value::String(text) => text.len() as u64,
        Value::Array(items) => items.iter().map(memory).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() as u64 + memory(value)).sum(),
        _ => 0,
    }
}
