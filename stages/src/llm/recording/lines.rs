//! Texts by lines. Takes a file; gives its lines with their numbers, or an error that names file and line.

use std::io::BufRead as _;

use engine::{Context, File, StageError, without_place};

use super::source::Source;
use crate::unpacked::Text;

/// Returns the lines of a file that are not empty, with their numbers from 1.
pub(crate) fn lines<'a>(
    ctx: &Context,
    file: &'a File,
) -> Result<impl Iterator<Item = Result<(usize, String), StageError>> + use<'a>, StageError> {
    Ok(numbered(file.name().to_owned(), Source::File(ctx, file).text()?))
}

/// Returns the lines of a text that are not empty, with their numbers from 1.
pub(super) fn numbered(name: String, text: Text) -> impl Iterator<Item = Result<(usize, String), StageError>> {
    text.lines().enumerate().filter_map(move |(index, line)| match line {
        Ok(line) if line.trim().is_empty() => None,
        Ok(line) => Some(Ok((index + 1, line))),
        Err(error) => {
            Some(Err(StageError::failed(format!("`{name}`, line {}: {error}", index + 1))
                .help("the file must be whole, and UTF-8 text")))
        }
    })
}

/// Builds the error of a malformed line, with its place.
pub(crate) fn malformed(file: &File, line: usize, error: &serde_json::Error) -> StageError {
    malformed_in(file.name(), line, error)
}

/// Builds the error of a malformed line of a named file.
pub(super) fn malformed_in(name: &str, line: usize, error: &serde_json::Error) -> StageError {
    StageError::failed(format!("`{name}`, line {line}, column {}: {}", error.column(), without_place(error)))
        .help("mend the line, or take it out")
}
