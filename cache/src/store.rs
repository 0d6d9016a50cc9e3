//! A folder in, everything that works on it out; once per folder and process.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use crate::{
    blobs::Blobs,
    damage::DamageList,
    error::CacheError,
    folder::Folder,
    lock::{self, Presence},
    memo::{Memo, writer::Writer},
};

/// The parts of an open cache. The order is that of closing: the writer writes what is queued while the rest is there.
pub(crate) struct Store {
    pub(crate) writer: Writer,
    pub(crate) memo: Arc<Memo>,
    pub(crate) blobs: Arc<Blobs>,
}

/// What is open in this process, by canonical path: LMDB must not be opened twice on one file.
static OPEN: Mutex<BTreeMap<PathBuf, Weak<Store>>> = Mutex::new(BTreeMap::new());

impl Store {
    /// Opens the cache in a folder, or gives what is open already.
    pub(crate) fn open(path: &Path) -> Result<Arc<Self>, CacheError> {
        let folder = Folder::open(path)?;
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = open.get(&folder.root).and_then(Weak::upgrade) {
            return Ok(store);
        }
        let presence = Presence::announce(&folder)?;
        lock::sweep(&folder, false)?;
        let memo = Arc::new(Memo::open(&folder.memo())?);
        let root = folder.root.clone();
        let blobs = Arc::new(Blobs { folder, presence, damage: DamageList::default() });
        let writer = Writer::start(Arc::clone(&memo), Arc::clone(&blobs))?;
        let store = Arc::new(Self { writer, memo, blobs });
        open.retain(|_, store| store.strong_count() > 0);
        open.insert(root, Arc::downgrade(&store));
        Ok(store)
    }
}
