//! JSON lines. Takes a file; gives its rows. Errors name file, line and column.

use engine::{Context, File, StageError};

use crate::{
    kinds::benchmark::tables::row::{Place, Row, Rows},
    llm::recording::{lines, malformed},
};

/// Returns the rows of a file of JSON lines.
pub(super) fn rows<'a>(ctx: &Context, file: &'a File) -> Result<Rows<'a>, StageError> {
    Ok(Box::new(lines(ctx, file)?.map(|line| {
        let (number, line) = line?;
        let value = serde_json::from_str(&line).map_err(|error| malformed(file, number, &error))?;
        Ok(Row { place: Place::Line(number), value })
    })))
}
