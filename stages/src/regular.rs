//! Regular files. Takes a path; gives the open file or its bytes.
//!
//! `models` and `tokenizer` import no engine, so they cannot use the function of `cache` that does the same.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read as _},
    path::Path,
};

/// Opens a regular file for reading and follows links. A pipe or a device is refused, since reading it may never end.
///
/// # Errors
/// The system's error, or [`io::ErrorKind::InvalidInput`] if the path is not a regular file.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    // Checked before the file is opened, since opening a device can already make it act.
    regular(&fs::metadata(path)?)?;
    let mut options = File::options();
    // Without this flag, a pipe put there since the check would block the opening, and some files of `/proc` the reading.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = options.read(true).open(path)?;
    regular(&file.metadata()?)?;
    Ok(file)
}

fn regular(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() { Ok(()) } else { Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")) }
}

/// Reads a regular file into memory.
///
/// # Errors
/// As [`open_regular`], or the system's error in reading.
pub(crate) fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}
