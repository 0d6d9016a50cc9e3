//! Bytes in, a digest out, and back: files named by what is in them.

mod reader;
mod writer;

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::damage::{Damage, DamageList};
use crate::digest::{Digest, Hasher};
use crate::error::CacheError;
use crate::folder::Folder;
use crate::lock::Presence;
use crate::output::{Output, Tree};
use crate::regular::open_regular;

pub use reader::BlobReader;
pub use writer::BlobWriter;

/// All blobs of a cache. Blobs are never changed, so readers and writers need no locks.
#[derive(Debug)]
pub(crate) struct Blobs {
    pub(crate) folder: Folder,
    pub(crate) presence: Presence,
    pub(crate) damage: DamageList,
}

/// A blob as it lies on disk.
pub(crate) struct Stored {
    pub(crate) path: PathBuf,
    pub(crate) packed: bool,
    /// Size on disk, in bytes.
    pub(crate) bytes: u64,
}

impl Blobs {
    pub(crate) fn put(self: &Arc<Self>, bytes: &[u8]) -> Result<Digest, CacheError> {
        let mut writer = BlobWriter::new(Arc::clone(self))?;
        writer.write_all(bytes).map_err(|error| CacheError::io("write", &self.presence.temporary, error))?;
        writer.finish().map(|(digest, _)| digest)
    }

    pub(crate) fn put_file(self: &Arc<Self>, path: &Path) -> Result<(Digest, u64), CacheError> {
        let mut file = open_regular(path).map_err(|error| CacheError::io("read", path, error))?;
        let mut writer = BlobWriter::new(Arc::clone(self))?;
        io::copy(&mut file, &mut writer).map_err(|error| CacheError::io("store", path, error))?;
        writer.finish()
    }

    pub(crate) fn reader(self: &Arc<Self>, digest: &Digest) -> Result<BlobReader, CacheError> {
        BlobReader::open(Arc::clone(self), digest)
    }

    pub(crate) fn read(self: &Arc<Self>, digest: &Digest) -> Result<Vec<u8>, CacheError> {
        let mut bytes = Vec::new();
        let mut reader = self.reader(digest)?;
        reader.read_to_end(&mut bytes).map_err(|error| CacheError::io("read", &reader.path, error))?;
        Ok(bytes)
    }

    pub(crate) fn tree(self: &Arc<Self>, digest: &Digest) -> Result<Tree, CacheError> {
        let json = self.read(digest)?;
        Tree::from_json(&json).map_err(|reason| CacheError::NotATree { digest: *digest, reason })
    }

    /// Finds the blob's file; `None` where there is none.
    pub(crate) fn find(&self, digest: &Digest) -> Option<Stored> {
        let (plain, packed) = self.folder.blob(digest);
        [(plain, false), (packed, true)].into_iter().find_map(|(path, packed)| {
            let metadata = fs::metadata(&path).ok()?;
            metadata.is_file().then_some(Stored { path, packed, bytes: metadata.len() })
        })
    }

    /// Reads a blob to its end; `false` where it is missing or damaged.
    pub(crate) fn check(self: &Arc<Self>, digest: &Digest) -> Result<bool, CacheError> {
        let checked = self.reader(digest).and_then(|mut reader| {
            io::copy(&mut reader, &mut io::sink()).map_err(|error| CacheError::io("read", &reader.path, error))
        });
        found(checked).map(|found| found.is_some())
    }

    /// Lists the blobs that an output needs, its own first; `None` where its tree is missing or damaged.
    pub(crate) fn needed(self: &Arc<Self>, output: &Output) -> Result<Option<Vec<Digest>>, CacheError> {
        let mut digests = vec![output.digest];
        if output.tree {
            match found(self.tree(&output.digest))? {
                Some(tree) => digests.extend(tree.files.values().map(|file| file.digest)),
                None => return Ok(None),
            }
        }
        Ok(Some(digests))
    }

    /// Says that a blob is in use, so that collecting garbage leaves it for an hour.
    pub(crate) fn touch(stored: &Stored) {
        // A cache that cannot be written is not collected either.
        drop(File::open(&stored.path).and_then(|file| file.set_modified(SystemTime::now())));
    }

    pub(crate) fn copy_to(self: &Arc<Self>, digest: &Digest, path: &Path) -> Result<(), CacheError> {
        let stored = self.find(digest).ok_or_else(|| self.missing(digest))?;
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut copy = visible_file(folder).map_err(|error| CacheError::io("write", path, error))?;
        if stored.packed {
            io::copy(&mut self.reader(digest)?, copy.as_file_mut()).map_err(|error| CacheError::io("write", path, error))?;
        } else {
            // From file to file the system copies, and shares the bytes where its file system can; so what is checked is the copy.
            let mut plain = File::open(&stored.path).map_err(|error| CacheError::io("read", &stored.path, error))?;
            let mut hash = |copy: &mut File| -> io::Result<Digest> {
                io::copy(&mut plain, copy)?;
                copy.rewind()?;
                let mut hasher = Hasher::new();
                io::copy(copy, &mut hasher)?;
                Ok(hasher.finish())
            };
            if hash(copy.as_file_mut()).map_err(|error| CacheError::io("write", path, error))? != *digest {
                return Err(self.set_aside(digest, &stored.path));
            }
        }
        copy.as_file().sync_all().map_err(|error| CacheError::io("write", path, error))?;
        copy.persist(path).map_err(|error| CacheError::io("write", path, error.error))?;
        Ok(())
    }

    /// Moves a damaged blob out of the way, notes it, and returns the error that says so.
    pub(crate) fn set_aside(&self, digest: &Digest, path: &Path) -> CacheError {
        let name = if path.extension().is_some() { format!("{digest}.zst") } else { digest.to_string() };
        let aside = self.folder.damaged().join(name);
        // Where it cannot be moved (another process was first, or nothing can be written), it is not served all the same.
        drop(fs::rename(path, &aside));
        self.damage.add(Damage::Blob { digest: *digest, aside: aside.clone() });
        CacheError::Damaged { digest: *digest, aside }
    }

    pub(crate) fn missing(&self, digest: &Digest) -> CacheError {
        CacheError::Missing { digest: *digest, folder: self.folder.root.clone() }
    }

    /// Visits every blob on disk, in the order of their names, with its file's time of change.
    pub(crate) fn each(
        &self,
        mut visit: impl FnMut(Digest, Stored, SystemTime) -> Result<(), CacheError>,
    ) -> Result<(), CacheError> {
        for fan in entries(&self.folder.blobs())? {
            for path in entries(&fan)? {
                let (Some(head), Some(tail)) = (fan.file_name(), path.file_stem()) else {
                    continue;
                };
                let name = format!("{}{}", head.to_string_lossy(), tail.to_string_lossy());
                let (Ok(digest), Ok(metadata)) = (name.parse(), fs::metadata(&path)) else {
                    continue;
                };
                let changed = metadata.modified().map_err(|error| CacheError::io("read", &path, error))?;
                let packed = path.extension().is_some();
                visit(digest, Stored { packed, bytes: metadata.len(), path }, changed)?;
            }
        }
        Ok(())
    }
}

/// Takes a blob that is missing or damaged for none at all.
pub(crate) fn found<T>(result: Result<T, CacheError>) -> Result<Option<T>, CacheError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(CacheError::Missing { .. } | CacheError::Damaged { .. } | CacheError::NotATree { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, CacheError> {
    let list = || -> io::Result<Vec<PathBuf>> { fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect() };
    let mut paths = list().map_err(|error| CacheError::io("read", folder, error))?;
    paths.sort();
    Ok(paths)
}

/// A temporary file outside the cache: others may read it as far as the user's mask allows.
fn visible_file(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

#[cfg(test)]
pub(crate) mod tests;
