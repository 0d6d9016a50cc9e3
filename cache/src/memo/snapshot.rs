//! Copies of the database. Takes the database of a cache that this process cannot write; gives a private copy of it.
//!
//! LMDB protects a reader from writers by an entry in its lock file, which a process without the right to write cannot make. So the
//! file is copied, and the copy is opened in its place. A copy is whole if no transaction was committed meanwhile: LMDB never writes
//! over a page that one of its two latest transactions can reach, and every commit changes one of the file's two heads (LMDB calls
//! them meta pages).

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::Path,
    thread,
    time::Duration,
};

use crate::error::CacheError;

const FILE: &str = "data.mdb";

/// How often a copy is tried, with a longer pause after each attempt: some twenty seconds in all.
const TRIES: u32 = 12;
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// How much of a head is compared, in bytes, and where in it LMDB writes the size of its pages.
const HEAD: usize = 256;
const PAGE_SIZE: std::ops::Range<usize> = 40..44;

/// Copies the database in the folder `from` to the folder `to`. Where there is none, nothing is copied.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), CacheError> {
    let (from, to) = (from.join(FILE), to.join(FILE));
    let mut pause = FIRST_PAUSE;
    for _ in 0..TRIES {
        match copied(&from, &to) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(CacheError::io("copy", &from, error)),
        }
        thread::sleep(pause);
        pause *= 2;
    }
    let folder = from.ancestors().nth(2).unwrap_or(&from);
    Err(CacheError::Busy { path: folder.to_path_buf() })
}

/// Copies the file once. Returns whether no transaction was committed meanwhile.
fn copied(from: &Path, to: &Path) -> io::Result<bool> {
    let mut source = File::open(from)?;
    let before = heads(&mut source)?;
    source.rewind()?;
    let mut copy = fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).open(to)?;
    io::copy(&mut source, &mut copy)?;
    Ok(before == heads(&mut copy)? && before == heads(&mut source)?)
}

/// Reads the heads, each at the start of one of the first two pages. A commit writes one of them, and the next one the other.
pub(super) fn heads(file: &mut File) -> io::Result<Vec<u8>> {
    file.rewind()?;
    let mut heads = Vec::with_capacity(2 * HEAD);
    file.take(HEAD as u64).read_to_end(&mut heads)?;
    if let Some(size) = heads.get(PAGE_SIZE).and_then(|bytes| bytes.try_into().ok()) {
        file.seek(SeekFrom::Start(u64::from(u32::from_ne_bytes(size))))?;
        file.take(HEAD as u64).read_to_end(&mut heads)?;
    }
    Ok(heads)
}
