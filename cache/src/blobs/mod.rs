//! Blobs: files that are named by the digest of their bytes. Takes bytes; gives their digest, and the bytes back for the digest.
//!
//! Read `writer` (stores a stream of bytes), `reader` (checks the bytes while it reads them), then this file (finds blobs, copies them,
//! marks them as used, removes them and sets damaged ones aside).

mod reader;
mod writer;

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use crate::{
    damage::{Damage, DamageList},
    digest::{Digest, Hasher},
    error::CacheError,
    folder::Folder,
    lock::Presence,
    output::{Output, Tree, TreeError},
    regular::open_regular,
};

pub use reader::BlobReader;
pub use writer::BlobWriter;

/// All blobs of a cache. Blobs are never changed, so readers and writers need no locks.
#[derive(Debug)]
pub(crate) struct Blobs {
    /// Where new blobs go.
    pub(crate) folder: Folder,
    /// The cache itself, where it cannot be written: its blobs are read in place.
    pub(crate) base: Option<Folder>,
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
        Tree::decode(&json).map_err(|reason| match reason {
            TreeError::Form(_) => CacheError::NotATree { digest: *digest, reason },
            TreeError::Name(_) => CacheError::UnsafeTree { digest: *digest, reason },
        })
    }

    /// Finds the blob's file; `None` where there is none.
    pub(crate) fn find(&self, digest: &Digest) -> Option<Stored> {
        // A damaged blob of a cache that cannot be written stays where it is, but counts as missing.
        let sound = self.base.iter().filter(|_| !self.damage.names(digest));
        [&self.folder].into_iter().chain(sound).find_map(|folder| {
            let (plain, packed) = folder.blob(digest);
            [(plain, false), (packed, true)].into_iter().find_map(|(path, packed)| {
                let metadata = fs::metadata(&path).ok()?;
                metadata.is_file().then_some(Stored { path, packed, bytes: metadata.len() })
            })
        })
    }

    /// Returns the cache's folder, as its user named it.
    pub(crate) fn root(&self) -> &Folder {
        self.base.as_ref().unwrap_or(&self.folder)
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

    /// Marks a blob as used now, so that [`Blobs::remove_unused`] leaves it, and returns whether it is still there.
    pub(crate) fn touch(stored: &Stored) -> bool {
        // A mark that fails does no harm: a cache that cannot be written is not collected either.
        drop(File::open(&stored.path).and_then(|file| file.set_modified(SystemTime::now())));
        stored.path.exists()
    }

    /// Removes a blob that was not used since `limit`, and returns whether it did.
    pub(crate) fn remove_unused(&self, stored: &Stored, limit: SystemTime) -> Result<bool, CacheError> {
        // It is moved first and checked then: whoever marked it as used and still found it in its place did so before this check.
        let aside = self.presence.temporary.join(stored.path.file_name().unwrap_or_default());
        let moved = |from: &Path, to: &Path| match fs::rename(from, to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            moved => moved.map(|()| true).map_err(|error| CacheError::io("remove", from, error)),
        };
        if !moved(&stored.path, &aside)? {
            return Ok(false);
        }
        let changed = fs::metadata(&aside).and_then(|metadata| metadata.modified());
        if changed.map_err(|error| CacheError::io("read", &aside, error))? > limit {
            moved(&aside, &stored.path)?;
            return Ok(false);
        }
        fs::remove_file(&aside).map_err(|error| CacheError::io("remove", &aside, error))?;
        Ok(true)
    }

    pub(crate) fn copy_to(self: &Arc<Self>, digest: &Digest, path: &Path) -> Result<(), CacheError> {
        let stored = self.find(digest).ok_or_else(|| self.missing(digest))?;
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let unwritten = |error| CacheError::copy(path, error);
        let mut copy = visible_file(folder).map_err(unwritten)?;
        if stored.packed {
            io::copy(&mut self.reader(digest)?, copy.as_file_mut()).map_err(unwritten)?;
        } else {
            // The system copies from file to file, and shares the bytes where the file system can. So the copy is what is checked.
            let mut plain = File::open(&stored.path).map_err(|error| CacheError::io("read", &stored.path, error))?;
            let mut hash = |copy: &mut File| -> io::Result<Digest> {
                io::copy(&mut plain, copy)?;
                copy.rewind()?;
                let mut hasher = Hasher::new();
                io::copy(copy, &mut hasher)?;
                Ok(hasher.finish())
            };
            if hash(copy.as_file_mut()).map_err(unwritten)? != *digest {
                return Err(self.set_aside(digest, &stored.path));
            }
        }
        copy.as_file().sync_all().map_err(unwritten)?;
        copy.persist(path).map_err(|error| unwritten(error.error))?;
        Ok(())
    }

    /// Moves a damaged blob out of the way, notes it, and returns the error that says so.
    pub(crate) fn set_aside(&self, digest: &Digest, path: &Path) -> CacheError {
        let name = if path.extension().is_some() { format!("{digest}.zst") } else { digest.to_string() };
        let mut aside = self.root().damaged().join(name);
        // Where it cannot be moved (another process was first, or nothing can be written), it is not served either.
        if fs::rename(path, &aside).is_err() && path.exists() {
            aside = path.to_path_buf();
        }
        self.damage.add(Damage::Blob { digest: *digest, aside: aside.clone() });
        CacheError::Damaged { digest: *digest, aside }
    }

    pub(crate) fn missing(&self, digest: &Digest) -> CacheError {
        CacheError::Missing { digest: *digest, folder: self.root().root.clone() }
    }

    /// Visits every blob on disk, in the order of the names, with the time of change of its file.
    pub(crate) fn each(
        &self,
        mut visit: impl FnMut(Digest, Stored, SystemTime) -> Result<(), CacheError>,
    ) -> Result<(), CacheError> {
        for fan in entries(&self.root().blobs())? {
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

/// Turns the error of a missing or damaged blob into `None`.
pub(crate) fn found<T>(result: Result<T, CacheError>) -> Result<Option<T>, CacheError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(CacheError::Missing { .. } | CacheError::Damaged { .. } | CacheError::NotATree { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Lists what is in a folder, in the order of the names; nothing where there is no folder, as in a copy of a cache without empty ones.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>, CacheError> {
    let list = || -> io::Result<Vec<PathBuf>> { fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect() };
    let mut paths = match list() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        listed => listed.map_err(|error| CacheError::io("read", folder, error))?,
    };
    paths.sort();
    Ok(paths)
}

/// Creates a temporary file outside the cache, which others may read as far as the user's umask allows.
fn visible_file(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

#[cfg(test)]
pub(crate) mod tests;
