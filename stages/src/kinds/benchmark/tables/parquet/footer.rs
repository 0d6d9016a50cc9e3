//! Checks of a Parquet file's footer and page headers. Takes a file; gives an error if they claim what cannot be, or if a page is more
//! than it claims.
//!
//! The library reserves memory for what they claim, and recurses as deep as they say; without memory or stack, the program is aborted.

use std::fs::File;

use ::parquet::{
    errors::{ParquetError, Result},
    file::reader::{ChunkReader as _, Length as _},
};

use super::{
    codec::{self, Body},
    thrift::{Fields, Value, list, number, structure},
};

/// Nesting of groups of columns that is accepted.
const DEPTH: usize = 64;

/// Bytes that are read for a page header: the first number, then the second if the header is longer, since its statistics may contain two
/// values of the column.
const HEADS: [u64; 2] = [1 << 12, 1 << 20];

/// Returns an error if a claim cannot be true. Other mistakes are left to the library.
pub(super) fn check(file: &File) -> Result<()> {
    let length = file.len();
    let Some(end) = length.checked_sub(8) else { return Ok(()) };
    let tail = file.get_bytes(end, 4)?;
    let size = tail.first_chunk().map_or(0, |size| u64::from(u32::from_le_bytes(*size)));
    let Some(start) = end.checked_sub(size) else { return Ok(()) };
    let bytes = file.get_bytes(start, size as usize)?;
    let footer = structure(&mut &bytes[..]).ok_or_else(|| refused("its footer cannot be read"))?;
    check_schema(&footer)?;
    for column in list(&footer, 4).flat_map(|group| list(group, 1)) {
        let Some(Value::Fields(column)) = column.get(&3) else { continue };
        check_pages(file, column)?;
    }
    Ok(())
}

/// Checks the schema, a flat list in which each group stands before its columns.
fn check_schema(footer: &Fields) -> Result<()> {
    let count = list(footer, 2).count();
    // The number of columns that each open group still lacks, the outermost first.
    let mut around: Vec<i64> = Vec::new();
    for element in list(footer, 2) {
        if let Some(open) = around.last_mut() {
            *open -= 1;
        }
        let columns = number(element, 5).unwrap_or(0);
        if columns < 0 || columns > count as i64 {
            return Err(refused(&format!("a group of {columns} columns is not among {count}")));
        }
        around.push(columns);
        if around.len() > DEPTH {
            return Err(refused(&format!("its columns are more than {DEPTH} deep")));
        }
        while around.pop_if(|open| *open <= 0).is_some() {}
    }
    Ok(())
}

/// Checks the page headers of a column chunk.
fn check_pages(file: &File, column: &Fields) -> Result<()> {
    let start = number(column, 11).or_else(|| number(column, 9)).and_then(|start| u64::try_from(start).ok());
    let size = number(column, 7).and_then(|size| u64::try_from(size).ok());
    let (Some(mut at), Some(size)) = (start, size) else { return Ok(()) };
    let end = at.saturating_add(size).min(file.len());
    while at < end {
        let read = |most: u64| {
            let bytes = file.get_bytes(at, most.min(end - at) as usize).ok()?;
            let mut rest = &bytes[..];
            structure(&mut rest).map(|head| (head, (bytes.len() - rest.len()) as u64))
        };
        let Some((head, length)) = HEADS.into_iter().find_map(read) else { return Ok(()) };
        let (Some(whole), Some(packed)) = (number(&head, 2), number(&head, 3)) else { return Ok(()) };
        let Ok(next) = u64::try_from(packed) else { return Ok(()) };
        let codec = number(column, 4).unwrap_or(0);
        let body = Body { at: at.saturating_add(length), packed: next, levels: levels(&head) };
        codec::check(file, codec, &body, u64::try_from(whole).unwrap_or(0)).map_err(|reason| refused(&reason))?;
        at = at.saturating_add(length).saturating_add(next);
    }
    Ok(())
}

/// Returns the number of bytes before the packed ones: the levels of a page of the second version.
fn levels(head: &Fields) -> u64 {
    let Some(Value::Fields(second)) = head.get(&8) else { return 0 };
    [5, 6].into_iter().filter_map(|field| u64::try_from(number(second, field)?).ok()).fold(0, u64::saturating_add)
}

fn refused(reason: &str) -> ParquetError {
    ParquetError::General(reason.to_owned())
}
