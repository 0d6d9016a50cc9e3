//! Reading of blobs. Takes a digest; gives a stream of bytes, which ends in an error where the bytes do not match the digest.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::PathBuf,
    sync::Arc,
};

use zstd::stream::read::Decoder;

use super::Blobs;
use crate::{
    digest::{Digest, Hasher},
    error::CacheError,
};

/// Reads a blob. Only a read that returns 0 says that the bytes were right: a damaged blob ends in an error of the kind
/// [`io::ErrorKind::InvalidData`] with a [`CacheError::Damaged`] inside, and is set aside.
pub struct BlobReader {
    blobs: Arc<Blobs>,
    digest: Digest,
    pub(super) path: PathBuf,
    source: Source,
    state: State,
}

enum Source {
    Plain(File),
    Packed(Box<Decoder<'static, BufReader<File>>>),
}

enum State {
    Reading(Box<Hasher>),
    Right,
    Damaged(CacheError),
}

impl BlobReader {
    pub(super) fn open(blobs: Arc<Blobs>, digest: &Digest) -> Result<Self, CacheError> {
        let stored = blobs.find(digest).ok_or_else(|| blobs.missing(digest))?;
        let open = || -> io::Result<Source> {
            let file = File::open(&stored.path)?;
            Ok(if stored.packed { Source::Packed(Box::new(Decoder::new(file)?)) } else { Source::Plain(file) })
        };
        match open() {
            Ok(source) => Ok(Self { blobs, digest: *digest, path: stored.path, source, state: State::Reading(Box::default()) }),
            // It was removed or set aside since it was found.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(blobs.missing(digest)),
            Err(error) => Err(CacheError::io("read", &stored.path, error)),
        }
    }

    fn damaged(&mut self) -> io::Error {
        let error = self.blobs.set_aside(&self.digest, &self.path);
        self.state = State::Damaged(error.clone());
        invalid(error)
    }
}

fn invalid(error: CacheError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let hasher = match &mut self.state {
            State::Reading(hasher) if !buffer.is_empty() => hasher,
            State::Damaged(error) => return Err(invalid(error.clone())),
            State::Reading(_) | State::Right => return Ok(0),
        };
        let read = match &mut self.source {
            Source::Plain(file) => file.read(buffer),
            Source::Packed(decoder) => decoder.read(buffer),
        };
        match read {
            Ok(0) if hasher.finish() == self.digest => {
                self.state = State::Right;
                Ok(0)
            }
            Ok(0) => Err(self.damaged()),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                Ok(count)
            }
            // An error without a number is not the system's but that of zstd, which found bytes that it never wrote.
            Err(error) if error.raw_os_error().is_none() && error.kind() != io::ErrorKind::Interrupted => Err(self.damaged()),
            Err(error) => Err(error),
        }
    }
}
