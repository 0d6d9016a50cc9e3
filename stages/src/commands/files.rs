//! Files that a command names. Takes paths; gives JSON read or written, with errors that name the file.

use std::{fs, path::Path};

use engine::{CommandError, StageError};
use serde::{Serialize, de::DeserializeOwned};

use crate::regular::read_regular;

/// Reads a JSON file.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, CommandError> {
    let bytes =
        read_regular(path).map_err(|error| CommandError::usage(format!("`{}` cannot be read: {error}", path.display())))?;
    serde_json::from_slice(&bytes).map_err(|error| CommandError::usage(format!("`{}`: {error}", path.display())))
}

/// Writes a JSON file on one line.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), CommandError> {
    let mut bytes = serde_json::to_vec(value).map_err(StageError::failed)?;
    bytes.push(b'\n');
    write(path, &bytes)
}

/// Writes a file.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
    let unwritten = |error| StageError::environment(format!("`{}` cannot be written: {error}", path.display()));
    Ok(fs::write(path, bytes).map_err(unwritten)?)
}
