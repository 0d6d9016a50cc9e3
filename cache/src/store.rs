//! Open caches. Takes a folder; gives everything that works on it, opened once per folder and process.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tempfile::TempDir;

use crate::{
    blobs::Blobs,
    damage::DamageList,
    error::CacheError,
    folder::Folder,
    lock::{self, Presence},
    memo::{Memo, snapshot, writer::Writer},
};

/// The parts of an open cache. They close in this order: the writer first, which writes what is queued while the rest is still open.
pub(crate) struct Store {
    pub(crate) writer: Writer,
    pub(crate) memo: Arc<Memo>,
    pub(crate) blobs: Arc<Blobs>,
    /// Set where the folder cannot be written.
    read_only: Option<ReadOnly>,
}

/// What replaces a folder that cannot be written: a private folder with a copy of its database, removed at the end. Its blobs are read
/// in place.
struct ReadOnly {
    refusal: CacheError,
    _scratch: TempDir,
}

/// The caches that are open in this process, by canonical path: LMDB must not be opened twice on one file.
static OPEN: Mutex<BTreeMap<PathBuf, Weak<Store>>> = Mutex::new(BTreeMap::new());

impl Store {
    /// Opens the cache in a folder, or returns the one that is open already. A cache that can only be read is opened for reading.
    pub(crate) fn open(path: &Path) -> Result<Arc<Self>, CacheError> {
        let (folder, refusal) = match Folder::open(path) {
            Ok(folder) => (folder, None),
            Err(refusal) if refusal.forbids_writing() => match Folder::find(path) {
                Ok(Some(folder)) => (folder, Some(refusal)),
                _ => return Err(refusal),
            },
            Err(error) => return Err(error),
        };
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = open.get(&folder.root).and_then(Weak::upgrade) {
            return Ok(store);
        }
        let root = folder.root.clone();
        let store = match refusal.map_or_else(|| Self::writable(folder.clone()), Err) {
            Err(refusal) if refusal.forbids_writing() => Self::read_only(folder, &refusal)?,
            opened => opened?,
        };
        let store = Arc::new(store);
        open.retain(|_, store| store.strong_count() > 0);
        open.insert(root, Arc::downgrade(&store));
        Ok(store)
    }

    fn writable(folder: Folder) -> Result<Self, CacheError> {
        let presence = Presence::announce(&folder)?;
        // What cannot be removed now is removed by the next process that opens the cache.
        drop(lock::sweep(&folder, false));
        let memo = Memo::open(&folder.memo())?;
        Self::assemble(memo, Blobs { folder, base: None, presence, damage: DamageList::default() }, None)
    }

    fn read_only(base: Folder, refusal: &CacheError) -> Result<Self, CacheError> {
        let scratch = tempfile::Builder::new().prefix("fingerpost-cache-").tempdir();
        let scratch = scratch.map_err(|error| CacheError::io("create a folder in", &std::env::temp_dir(), error))?;
        let folder = Folder::open(scratch.path())?;
        snapshot::copy(&base.memo(), &folder.memo())?;
        let presence = Presence::announce(&folder)?;
        let memo = Memo::open(&folder.memo())?;
        let refusal = CacheError::ReadOnly { path: base.root.clone(), reason: refusal.to_string() };
        let blobs = Blobs { folder, base: Some(base), presence, damage: DamageList::default() };
        Self::assemble(memo, blobs, Some(ReadOnly { refusal, _scratch: scratch }))
    }

    fn assemble(memo: Memo, blobs: Blobs, read_only: Option<ReadOnly>) -> Result<Self, CacheError> {
        let (memo, blobs) = (Arc::new(memo), Arc::new(blobs));
        let writer = Writer::start(Arc::clone(&memo), Arc::clone(&blobs))?;
        Ok(Self { writer, memo, blobs, read_only })
    }

    /// Returns whether what is stored outlives this process.
    pub(crate) fn is_writable(&self) -> bool {
        self.read_only.is_none()
    }

    /// Returns an error where what is stored would not outlive this process.
    pub(crate) fn check_writable(&self) -> Result<(), CacheError> {
        self.read_only.as_ref().map_or(Ok(()), |read_only| Err(read_only.refusal.clone()))
    }
}
