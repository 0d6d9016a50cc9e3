//! Files of rows in any format. Takes JSON lines, a JSON array, CSV or Parquet; gives the rows as JSON values, each with its place in the
//! file.

use engine::{Context, File, StageError};

use super::{csv, json, parquet, row::Rows};
use crate::unpacked;

/// The format of a file of rows.
pub(crate) enum Format {
    Csv,
    Json,
    Parquet,
}

/// Recognises a file's format by its first bytes. The file's name cannot decide, since it is in no key.
pub(crate) fn format(ctx: &Context, file: &File) -> Result<Format, StageError> {
    let (head, _) = unpacked::head(unpacked::open(ctx, file)?).map_err(|error| unpacked::unreadable(file.name(), &error))?;
    Ok(match head.as_slice() {
        [b'P', b'A', b'R', b'1', ..] => Format::Parquet,
        [b'{' | b'[', ..] => Format::Json,
        _ => Format::Csv,
    })
}

/// Returns the rows of a file in any format.
pub(crate) fn rows<'a>(ctx: &Context, file: &'a File) -> Result<Rows<'a>, StageError> {
    match format(ctx, file)? {
        Format::Parquet => parquet::rows(ctx, file),
        Format::Json => json::rows(ctx, file, None),
        Format::Csv => csv::rows(ctx, file, None),
    }
}
