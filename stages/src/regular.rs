//! A path → an open regular file. `models` and `tokenizer` know no engine, so this stands beside `cache`'s own.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

/// Opens a regular file, through links, for reading: a pipe or a device would be read for ever.
///
/// # Errors
/// What the system says, and [`io::ErrorKind::InvalidInput`] for what is no regular file.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    File::open(path)
}

/// Reads a regular file.
///
/// # Errors
/// As [`open_regular`], and where reading fails.
pub(crate) fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}
