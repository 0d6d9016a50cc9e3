//! A path → an open regular file. `models` and `tokenizer` know no engine, so this stands beside `cache`'s own.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read as _},
    path::Path,
};

/// Opens a regular file, through links, for reading: a pipe or a device would be read for ever.
///
/// # Errors
/// What the system says, and [`io::ErrorKind::InvalidInput`] for what is no regular file.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    // Before it is opened, since that alone can make a device act.
    regular(&fs::metadata(path)?)?;
    let mut options = File::options();
    // A pipe that came there since would block the opening, and some files of `/proc` the reading.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = options.read(true).open(path)?;
    regular(&file.metadata()?)?;
    Ok(file)
}

fn regular(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() { Ok(()) } else { Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")) }
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
