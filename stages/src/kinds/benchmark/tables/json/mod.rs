//! JSON. Takes a file of JSON lines, an array of rows, or an object with one array of rows; gives the rows, one at a time.
//!
//! Read `survey` (which of the three it is) first, then `elements` (the rows of an array) and `lines`.

mod elements;
mod lines;
mod survey;

use engine::{Context, File, StageError};
use serde::de::IgnoredAny;

use super::row::{Place, Row, Rows};
use crate::unpacked;
use elements::Elements;
use survey::Layout;

/// Returns the rows of a JSON file. An object that has `question` is a row itself, whatever arrays it has.
pub(crate) fn rows<'a>(ctx: &Context, file: &'a File, question: Option<&str>) -> Result<Rows<'a>, StageError> {
    let unreadable = |error| unpacked::unreadable(file.name(), &error);
    let (head, text) = unpacked::head(unpacked::open(ctx, file)?).map_err(unreadable)?;
    let skip = match head.first() {
        Some(b'[') => {
            // A damaged file is said to be one before any of its rows is looked at.
            serde_json::from_reader::<_, IgnoredAny>(text).map_err(|error| damaged(file, &error))?;
            None
        }
        Some(b'{') => match survey::layout(file, text, question)? {
            Layout::Lines => return lines::rows(ctx, file),
            Layout::Row => return row(ctx, file),
            Layout::Array(skip) => Some(skip),
        },
        _ => return lines::rows(ctx, file),
    };
    let text = unpacked::open(ctx, file)?;
    Ok(Box::new(Elements::new(file, text, skip)?))
}

/// Returns the only row of a file that is one.
fn row<'a>(ctx: &Context, file: &'a File) -> Result<Rows<'a>, StageError> {
    let value = serde_json::from_reader(unpacked::open(ctx, file)?).map_err(|error| damaged(file, &error))?;
    Ok(Box::new(std::iter::once(Ok(Row { place: Place::Row(1), value }))))
}

fn damaged(file: &File, error: &serde_json::Error) -> StageError {
    StageError::failed(format!("`{}`: {error}", file.name())).help("mend the file, which begins as one JSON document")
}
