//! What a log of another program is: how it is recognised and read.

use engine::StageError;

use super::{Recordings, Source};

/// The logs of a program.
pub(super) struct Log {
    /// Whether a file is one of them, by the fields of its first object.
    pub recognise: fn(fields: &[String]) -> bool,
    pub read: for<'a> fn(source: Source<'a>) -> Result<Recordings<'a>, StageError>,
}

/// Whether an object has all of these fields.
pub(super) fn has(fields: &[String], names: &[&str]) -> bool {
    names.iter().all(|name| fields.iter().any(|field| field == name))
}
