//! Files of rows in any format. Takes JSON lines, a JSON array, CSV or Parquet; gives the rows as JSON values, each with its place in the
//! file.

use std::io::BufRead as _;

use engine::{Context, File, StageError};
use serde_json::Value;

use super::{
    csv, jsonl, parquet,
    row::{Place, Row, Rows},
};

/// Reads a file and recognises its format by its first bytes. The file's name cannot decide, since it is in no key.
pub(crate) fn rows<'a>(ctx: &Context, file: &'a File) -> Result<Rows<'a>, StageError> {
    let mut reader = file.open(ctx)?;
    let head = reader.fill_buf()?;
    if head.starts_with(b"PAR1") {
        return parquet::rows(ctx, file);
    }
    match head.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => jsonl::rows(ctx, file),
        Some(b'[') => array(ctx, file),
        _ => csv::rows(ctx, file),
    }
}

fn array<'a>(ctx: &Context, file: &'a File) -> Result<Rows<'a>, StageError> {
    let values: Vec<Value> = serde_json::from_reader(file.open(ctx)?).map_err(|error| {
        StageError::failed(format!("`{}`: {error}", file.name())).help("mend the file, which begins as a JSON array")
    })?;
    Ok(Box::new(values.into_iter().enumerate().map(|(index, value)| Ok(Row { place: Place::Row(index + 1), value }))))
}
