//! Regular files. Takes a path; gives an open file. A pipe or a device could be read for ever, so it is refused before anything is read.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read as _},
    path::Path,
};

/// Opens a regular file for reading, and follows links.
///
/// # Errors
/// The system's error, or [`io::ErrorKind::InvalidInput`] for a pipe, a socket or a device.
pub fn open_regular(path: &Path) -> io::Result<File> {
    // Checked before it is opened, because opening alone can make a device act.
    regular(&fs::metadata(path)?)?;
    let mut options = File::options();
    // A pipe that was put there since would block the opening, and some files of `/proc` would block the reading.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = options.read(true).open(path)?;
    regular(&file.metadata()?)?;
    Ok(file)
}

fn regular(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder, not a file"));
    }
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok(())
}

/// Reads a regular file of at most `limit` bytes; of a longer one, the first `limit + 1`.
///
/// # Errors
/// As [`open_regular`], and where reading fails.
pub fn read_regular(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn devices_and_folders_are_refused_and_long_files_cut() {
        for (path, words) in [("/dev/zero", "not a regular file"), ("/", "a folder")] {
            assert!(open_regular(Path::new(path)).unwrap_err().to_string().contains(words), "{path}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long");
        fs::write(&path, [b'a'; 100]).unwrap();
        assert_eq!(read_regular(&path, 10).unwrap().len(), 11);
        assert_eq!(read_regular(&path, 100).unwrap().len(), 100);
    }
}
