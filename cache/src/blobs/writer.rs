//! Writing of blobs. Takes a stream of bytes; gives a blob: a temporary file that is synced and then renamed, packed where that helps.

use std::{
    io::{self, BufWriter, Write},
    sync::Arc,
};

use tempfile::NamedTempFile;
use zstd::stream::write::Encoder;

use super::Blobs;
use crate::{
    digest::{Digest, Hasher},
    error::CacheError,
    folder,
};

/// How many of the first bytes decide whether packing helps.
const HEAD: usize = 128 * 1024;

/// zstd's level: at 3 it packs rows to a fifth at some 300 MB/s.
const LEVEL: i32 = 3;

/// Writes a blob piece by piece. Dropped before [`BlobWriter::finish`], it leaves nothing.
pub struct BlobWriter {
    blobs: Arc<Blobs>,
    hasher: Hasher,
    bytes: u64,
    /// The first bytes, until there are enough to decide by.
    head: Vec<u8>,
    /// `None` after a failed write.
    sink: Option<Sink>,
}

enum Sink {
    Undecided(NamedTempFile),
    Plain(BufWriter<NamedTempFile>),
    Packed(Encoder<'static, NamedTempFile>),
}

impl BlobWriter {
    pub(crate) fn new(blobs: Arc<Blobs>) -> Result<Self, CacheError> {
        let folder = &blobs.presence.temporary;
        let file = NamedTempFile::new_in(folder).map_err(|error| CacheError::io("write into", folder, error))?;
        Ok(Self { blobs, hasher: Hasher::new(), bytes: 0, head: Vec::new(), sink: Some(Sink::Undecided(file)) })
    }

    /// Stores what was written, durably, and returns its digest and its size in bytes.
    ///
    /// # Errors
    /// [`CacheError::Io`]: the blob cannot be written, or an earlier write to it failed.
    pub fn finish(self) -> Result<(Digest, u64), CacheError> {
        let digest = self.hasher.finish();
        if let Some(stored) = self.blobs.find(&digest)
            && (stored.packed || stored.bytes == self.bytes)
            && Blobs::touch(&stored)
        {
            return Ok((digest, self.bytes));
        }
        let bytes = self.bytes;
        self.place(&digest)?;
        Ok((digest, bytes))
    }

    fn place(self, digest: &Digest) -> Result<(), CacheError> {
        let (plain, packed) = self.blobs.folder.blob(digest);
        let failed = |error| CacheError::io("write", &plain, error);
        let fan = plain.parent().expect("a blob lies in a folder");
        if !fan.is_dir() {
            folder::make(fan)?;
            folder::sync(&self.blobs.folder.blobs())?;
        }
        let sink = self.sink.ok_or_else(broken).and_then(|sink| sink.decide(&self.head)).map_err(failed)?;
        let (file, path) = match sink {
            Sink::Undecided(file) => (file, &plain),
            Sink::Plain(file) => (file.into_inner().map_err(|error| failed(error.into_error()))?, &plain),
            Sink::Packed(encoder) => (encoder.finish().map_err(failed)?, &packed),
        };
        file.as_file().sync_all().map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error))?;
        folder::sync(fan)
    }
}

impl Sink {
    /// Decides by the head whether to pack, and writes the head. Does nothing where that was done.
    fn decide(self, head: &[u8]) -> io::Result<Self> {
        let Self::Undecided(file) = self else {
            return Ok(self);
        };
        let packed = zstd::bulk::compress(head, LEVEL)?.len();
        let mut sink = if packed + head.len() / 10 < head.len() {
            Self::Packed(Encoder::new(file, LEVEL)?)
        } else {
            Self::Plain(BufWriter::with_capacity(HEAD, file))
        };
        sink.write(head)?;
        Ok(sink)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Undecided(file) => file.write_all(bytes),
            Self::Plain(file) => file.write_all(bytes),
            Self::Packed(encoder) => encoder.write_all(bytes),
        }
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut sink = self.sink.take().ok_or_else(broken)?;
        if matches!(sink, Sink::Undecided(_)) {
            self.head.extend_from_slice(bytes);
            if self.head.len() >= HEAD {
                sink = sink.decide(&std::mem::take(&mut self.head))?;
            }
        } else {
            sink.write(bytes)?;
        }
        self.sink = Some(sink);
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // Nothing is durable before `finish`, which flushes.
        Ok(())
    }
}

fn broken() -> io::Error {
    io::Error::other("an earlier write to it failed")
}
