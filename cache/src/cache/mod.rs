//! The cache as its callers see it: blobs, results, replies, locks and housekeeping, as far as the [`Mode`] lets them.

mod pins;
mod replies;
mod results;

use std::{path::Path, sync::Arc};

use crate::{
    blobs::{BlobReader, BlobWriter},
    collect::{self, Collect, Collected},
    damage::Damage,
    digest::Digest,
    error::CacheError,
    lock::StageLock,
    mode::Mode,
    output::{Output, Tree},
    preimage::Key,
    store::Store,
    verify::{self, Stats},
};

pub use pins::Kept;

/// An open cache. All callers of a process that open one folder share what lies below; each has its own mode.
pub struct Cache {
    store: Arc<Store>,
    mode: Mode,
}

impl Cache {
    /// Opens the cache in a folder and makes it where it is not there. The folder is tried by a durable write and a read.
    pub fn open(folder: &Path, mode: Mode) -> Result<Arc<Self>, CacheError> {
        Ok(Arc::new(Self { store: Store::open(folder)?, mode }))
    }

    /// Returns the cache's folder, without links.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.store.blobs.folder.root
    }

    /// Returns what may be taken and kept.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }
}

/// Blobs: in every mode.
impl Cache {
    /// Stores bytes, durably.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, CacheError> {
        self.store.blobs.put(bytes)
    }

    /// Stores a file's content as it is read, durably; returns its digest and its size in bytes.
    pub fn put_file(&self, path: &Path) -> Result<(Digest, u64), CacheError> {
        self.store.blobs.put_file(path)
    }

    /// Stores a tree, whose files are stored already.
    ///
    /// # Errors
    ///
    /// [`CacheError::Value`] where a name leads out of the tree's folder; otherwise as [`Cache::put`].
    pub fn put_tree(&self, tree: &Tree) -> Result<Digest, CacheError> {
        let bytes = tree.encode().map_err(|error| CacheError::Value { reason: format!("a tree: {error}") })?;
        self.put(&bytes)
    }

    /// Starts a blob that is written piece by piece.
    pub fn writer(&self) -> Result<BlobWriter, CacheError> {
        BlobWriter::new(Arc::clone(&self.store.blobs))
    }

    /// Starts reading a blob; see [`BlobReader`] for what its end says.
    pub fn reader(&self, digest: &Digest) -> Result<BlobReader, CacheError> {
        self.store.blobs.reader(digest)
    }

    /// Reads a blob whole.
    pub fn read(&self, digest: &Digest) -> Result<Vec<u8>, CacheError> {
        self.store.blobs.read(digest)
    }

    /// Reads a tree. Every name in it stays inside the folder that it is written to.
    ///
    /// # Errors
    ///
    /// [`CacheError::NotATree`] where the blob is not a tree, [`CacheError::UnsafeTree`] where a name leads out of its folder;
    /// otherwise as [`Cache::read`].
    pub fn tree(&self, digest: &Digest) -> Result<Tree, CacheError> {
        self.store.blobs.tree(digest)
    }

    /// Says whether a blob is there; not whether it is damaged.
    #[must_use]
    pub fn contains(&self, digest: &Digest) -> bool {
        self.store.blobs.find(digest).is_some()
    }

    /// Reads a blob and says whether it is there and right. A damaged one is set aside.
    pub fn check(&self, digest: &Digest) -> Result<bool, CacheError> {
        self.store.blobs.check(digest)
    }

    /// Reads an output, with its files where it is a tree, and says whether all of it is there and right.
    pub fn check_output(&self, output: &Output) -> Result<bool, CacheError> {
        let Some(digests) = self.store.blobs.needed(output)? else {
            return Ok(false);
        };
        let mut right = true;
        for digest in digests {
            right &= self.check(&digest)?;
        }
        Ok(right)
    }

    /// Writes a blob to a file outside the cache: under another name first, so that no half of it is ever seen.
    pub fn copy_to(&self, digest: &Digest, path: &Path) -> Result<(), CacheError> {
        self.store.blobs.copy_to(digest, path)
    }
}

/// Locks and housekeeping: in every mode.
impl Cache {
    /// Waits for the right to run the stage of a key; blocks the thread. Freed when dropped, and by the kernel when the process ends.
    pub fn lock(&self, key: &Key) -> Result<StageLock, CacheError> {
        StageLock::wait(&self.store.blobs.folder.lock(key.digest()))
    }

    /// Takes the right to run the stage of a key; `None` where another process or thread has it.
    pub fn try_lock(&self, key: &Key) -> Result<Option<StageLock>, CacheError> {
        StageLock::attempt(&self.store.blobs.folder.lock(key.digest()))
    }

    /// Returns what was found damaged since it was asked last.
    #[must_use]
    pub fn take_damage(&self) -> Vec<Damage> {
        self.store.blobs.damage.take()
    }

    /// Counts what is in the cache.
    pub fn stats(&self) -> Result<Stats, CacheError> {
        verify::stats(&self.store)
    }

    /// Reads everything and returns what is damaged. It is set aside, and made anew by the next run that needs it.
    pub fn verify(&self) -> Result<Vec<Damage>, CacheError> {
        verify::verify(&self.store)
    }

    /// Removes results that were not used for a time, and every blob that nothing needs.
    pub fn collect(&self, what: Collect) -> Result<Collected, CacheError> {
        collect::collect(&self.store, what)
    }
}
