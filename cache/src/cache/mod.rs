//! The cache as its callers see it. Takes blobs, results and replies; gives them back by their digests, as far as the [`Mode`] allows.
//!
//! Read this file (blobs, locks and housekeeping), `results` (results and checkpoints of stages), `replies` (replies to units, and
//! claims on them) and `pins` (what else outlives a run).

mod pins;
mod replies;
mod results;

use std::{path::Path, sync::Arc};

use crate::{
    blobs::{BlobReader, BlobWriter, Blobs},
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

/// An open cache. All callers of a process that open one folder share the open database and files; each has its own mode.
pub struct Cache {
    store: Arc<Store>,
    mode: Mode,
}

impl Cache {
    /// Opens the cache in a folder, and creates it where there is none. A durable write and a read prove that the folder can hold one.
    ///
    /// A cache that can only be read is opened as it is at this moment: its blobs in place, its database from a private copy. What is
    /// stored in it afterwards is gone when it is closed; see [`Cache::check_writable`].
    ///
    /// # Errors
    /// The folder holds something else ([`CacheError::NotACache`]) or a cache of another version ([`CacheError::Format`]), is on a
    /// network file system ([`CacheError::Network`]), does not keep what is written to it ([`CacheError::Probe`]), cannot be read or
    /// created ([`CacheError::Io`], [`CacheError::Memo`]), or can only be read and is written to all the time ([`CacheError::Busy`]).
    pub fn open(folder: &Path, mode: Mode) -> Result<Arc<Self>, CacheError> {
        Ok(Arc::new(Self { store: Store::open(folder)?, mode }))
    }

    /// Returns the cache's folder, without links.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.store.blobs.root().root
    }

    /// Returns the mode: what is used and what is kept.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Checks that what is new can be kept, if the mode says to keep it; called before anything is computed or paid for.
    ///
    /// # Errors
    /// [`CacheError::ReadOnly`] where the folder cannot be written.
    pub fn check_writable(&self) -> Result<(), CacheError> {
        self.keeps().map(|_| ())
    }

    /// Returns whether what is new is kept; an error where it should be and cannot.
    fn keeps(&self) -> Result<bool, CacheError> {
        if self.mode.writes() {
            self.store.check_writable()?;
        }
        Ok(self.mode.writes())
    }
}

/// Blobs, which every mode reads and writes.
impl Cache {
    /// Stores bytes, durably.
    ///
    /// # Errors
    /// [`CacheError::Io`]: the bytes cannot be written.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, CacheError> {
        self.store.blobs.put(bytes)
    }

    /// Stores a file's content as it is read, durably; returns its digest and its size in bytes.
    ///
    /// # Errors
    /// [`CacheError::Io`]: the file cannot be read, or its content cannot be written.
    pub fn put_file(&self, path: &Path) -> Result<(Digest, u64), CacheError> {
        self.store.blobs.put_file(path)
    }

    /// Stores a tree. Its files must be stored already.
    ///
    /// # Errors
    /// [`CacheError::Value`] where a name leads out of the tree's folder; otherwise as [`Cache::put`].
    pub fn put_tree(&self, tree: &Tree) -> Result<Digest, CacheError> {
        let bytes = tree.encode().map_err(|error| CacheError::Value { reason: format!("a tree: {error}") })?;
        self.put(&bytes)
    }

    /// Starts a blob that is written piece by piece.
    ///
    /// # Errors
    /// [`CacheError::Io`]: no temporary file can be made.
    pub fn writer(&self) -> Result<BlobWriter, CacheError> {
        BlobWriter::new(Arc::clone(&self.store.blobs))
    }

    /// Starts reading a blob; see [`BlobReader`] for what the end of the stream says.
    ///
    /// # Errors
    /// [`CacheError::Missing`] where there is no such blob; [`CacheError::Io`] where it cannot be opened.
    pub fn reader(&self, digest: &Digest) -> Result<BlobReader, CacheError> {
        self.store.blobs.reader(digest)
    }

    /// Reads a whole blob.
    ///
    /// # Errors
    /// [`CacheError::Missing`] where there is no such blob, [`CacheError::Damaged`] where it does not match its digest,
    /// [`CacheError::Io`] where it cannot be read.
    pub fn read(&self, digest: &Digest) -> Result<Vec<u8>, CacheError> {
        self.store.blobs.read(digest)
    }

    /// Reads a tree. Every name in it stays inside the folder that it is written to.
    ///
    /// # Errors
    /// [`CacheError::NotATree`] where the blob is not a tree, [`CacheError::UnsafeTree`] where a name leads out of its folder;
    /// otherwise as [`Cache::read`].
    pub fn tree(&self, digest: &Digest) -> Result<Tree, CacheError> {
        self.store.blobs.tree(digest)
    }

    /// Returns whether a blob is there, damaged or not.
    #[must_use]
    pub fn contains(&self, digest: &Digest) -> bool {
        self.store.blobs.find(digest).is_some()
    }

    /// Reads a blob and returns whether it is there and undamaged. The blob counts as used now; a damaged one is moved out of the way.
    ///
    /// # Errors
    /// [`CacheError::Io`]: the blob cannot be read.
    pub fn check(&self, digest: &Digest) -> Result<bool, CacheError> {
        // It is marked before it is read, because a marked blob is not collected.
        let there = self.store.blobs.find(digest).is_some_and(|stored| Blobs::touch(&stored));
        Ok(there && self.store.blobs.check(digest)?)
    }

    /// Reads an output, with its files where it is a tree, and returns whether all of it is there and undamaged.
    ///
    /// # Errors
    /// [`CacheError::UnsafeTree`] where a name in its tree leads out of a folder; [`CacheError::Io`] where a blob cannot be read.
    pub fn check_output(&self, output: &Output) -> Result<bool, CacheError> {
        let Some(digests) = self.store.blobs.needed(output)? else {
            return Ok(false);
        };
        let mut sound = true;
        for digest in digests {
            sound &= self.check(&digest)?;
        }
        Ok(sound)
    }

    /// Writes a blob to a file outside the cache, under a temporary name first, so that nobody ever sees half of it.
    ///
    /// # Errors
    /// As [`Cache::read`]; [`CacheError::Copy`] where the file cannot be written.
    pub fn copy_to(&self, digest: &Digest, path: &Path) -> Result<(), CacheError> {
        self.store.blobs.copy_to(digest, path)
    }
}

/// Locks and housekeeping, which every mode allows.
impl Cache {
    /// Waits for the right to run the stage of a key; blocks the thread. Freed when dropped, and by the kernel when the process ends.
    ///
    /// # Errors
    /// [`CacheError::Io`]: the lock's file cannot be made or locked.
    pub fn lock(&self, key: &Key) -> Result<StageLock, CacheError> {
        StageLock::wait(&self.store.blobs.folder.lock(key.digest()))
    }

    /// Takes the right to run the stage of a key; `None` where another process or thread has it.
    ///
    /// # Errors
    /// [`CacheError::Io`]: the lock's file cannot be made or locked.
    pub fn try_lock(&self, key: &Key) -> Result<Option<StageLock>, CacheError> {
        StageLock::attempt(&self.store.blobs.folder.lock(key.digest()))
    }

    /// Returns what was found damaged since the last call.
    #[must_use]
    pub fn take_damage(&self) -> Vec<Damage> {
        self.store.blobs.damage.take()
    }

    /// Counts what is in the cache.
    ///
    /// # Errors
    /// The database or a folder cannot be read.
    pub fn stats(&self) -> Result<Stats, CacheError> {
        verify::stats(&self.store)
    }

    /// Reads everything and returns what is damaged. It is moved out of the way where the cache can be written, and the next run that
    /// needs it computes it again.
    ///
    /// # Errors
    /// A blob or the database cannot be read, or what is damaged cannot be moved.
    pub fn verify(&self) -> Result<Vec<Damage>, CacheError> {
        verify::verify(&self.store)
    }

    /// Removes results that were not used for a time, and every blob that nothing needs. What other processes have used since they
    /// opened the cache stays. A process that can only read the cache leaves no trace in it, and may find a blob missing.
    ///
    /// # Errors
    /// [`CacheError::ReadOnly`] where the folder cannot be written, unless [`Collect::dry`] is set; otherwise the database or a folder
    /// cannot be read or written.
    pub fn collect(&self, what: Collect) -> Result<Collected, CacheError> {
        collect::collect(&self.store, what)
    }
}
