//! The database of a cache: one LMDB environment. Takes small values under digests, table by table; gives them back, and loses none that
//! was committed.
//!
//! Read `table` (which tables there are), `value` (the bytes of an entry), `environment` (how LMDB is opened) and this file (transactions,
//! and how the environment grows when it is full); then `claims` (which process calls for a reply), `writer` (one commit for all that
//! wait) and `snapshot` (a copy of the database of a cache that cannot be written).

pub(crate) mod claims;
mod environment;
pub(crate) mod snapshot;
mod table;
pub(crate) mod value;
pub(crate) mod writer;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use heed::MdbError;

use crate::{digest::Digest, error::CacheError, mount};
pub(crate) use environment::Opened;
use environment::{default_map_size, open, probe};
pub(crate) use table::Table;

/// The number of an input or output error, on every Unix.
const EIO: i32 = 5;

/// Why a transaction ended without a result.
pub(crate) enum Fault {
    Memo(heed::Error),
    Cache(CacheError),
}

impl From<heed::Error> for Fault {
    fn from(error: heed::Error) -> Self {
        Self::Memo(error)
    }
}

impl From<CacheError> for Fault {
    fn from(error: CacheError) -> Self {
        Self::Cache(error)
    }
}

/// The cache's database: LMDB's environment, behind a lock that is taken for writing only while the environment is reopened.
pub(crate) struct Memo {
    path: PathBuf,
    opened: RwLock<Option<Opened>>,
}

impl Memo {
    /// Opens the database in a folder that exists, and proves by a durable write and a read that it works there.
    pub(crate) fn open(path: &Path) -> Result<Self, CacheError> {
        Self::open_with(path, default_map_size())
    }

    pub(crate) fn open_with(path: &Path, map_size: usize) -> Result<Self, CacheError> {
        let memo = Self { path: path.to_path_buf(), opened: RwLock::new(None) };
        let opened = open(path, map_size).map_err(|error| memo.refusal(error))?;
        probe(&opened).map_err(|error| memo.refusal(memo.explain(error)))?;
        // LMDB cannot reuse the pages that a dead reader still has registered.
        opened.env.clear_stale_readers().map_err(|error| memo.refusal(error))?;
        *memo.opened.write().unwrap_or_else(PoisonError::into_inner) = Some(opened);
        Ok(memo)
    }

    /// Runs one transaction. It may run several times: again after the environment was grown, by this process or another one.
    ///
    /// `work` must use the database by its argument alone, and must not return a transaction.
    pub(crate) fn with<T>(&self, work: impl Fn(&Opened) -> Result<T, Fault>) -> Result<T, CacheError> {
        loop {
            let guard = self.guard()?;
            let opened = guard.as_ref().expect("the guard is of an open environment");
            let map_size = opened.map_size;
            match work(opened) {
                Ok(value) => return Ok(value),
                Err(Fault::Cache(error)) => return Err(error),
                Err(Fault::Memo(heed::Error::Mdb(MdbError::MapFull | MdbError::MapResized))) => {
                    drop(guard);
                    self.reopen(map_size, map_size.saturating_mul(2))?;
                }
                Err(Fault::Memo(error)) => {
                    drop(guard);
                    // After a failed write of its first page LMDB must be reopened; what was committed is not lost.
                    if matches!(error, heed::Error::Mdb(MdbError::Panic)) {
                        self.reopen(map_size, map_size)?;
                    }
                    return Err(self.error(self.explain(error)));
                }
            }
        }
    }

    /// Returns the entry of a key.
    pub(crate) fn get(&self, table: Table, key: &Digest) -> Result<Option<Vec<u8>>, CacheError> {
        self.with(|opened| Ok(opened.get(&*opened.env.read_txn()?, table, key)?))
    }

    /// Returns the entries of many keys, read in one transaction.
    pub(crate) fn get_all(&self, table: Table, keys: &[Digest]) -> Result<Vec<Option<Vec<u8>>>, CacheError> {
        self.with(|opened| {
            let txn = opened.env.read_txn()?;
            Ok(keys.iter().map(|key| opened.get(&txn, table, key)).collect::<Result<_, _>>()?)
        })
    }

    /// Writes and removes entries in one durable transaction.
    pub(crate) fn change(&self, puts: &[(Table, Digest, Vec<u8>)], deletes: &[(Table, Digest)]) -> Result<(), CacheError> {
        self.with(|opened| {
            let mut txn = opened.env.write_txn()?;
            for (table, key, entry) in puts {
                opened.put(&mut txn, *table, key, entry)?;
            }
            for (table, key) in deletes {
                opened.delete(&mut txn, *table, key)?;
            }
            Ok(txn.commit()?)
        })
    }

    /// Writes an entry where there is none.
    pub(crate) fn change_absent(&self, (table, key, entry): &(Table, Digest, Vec<u8>)) -> Result<(), CacheError> {
        self.with(|opened| {
            let mut txn = opened.env.write_txn()?;
            if opened.get(&txn, *table, key)?.is_none() {
                opened.put(&mut txn, *table, key, entry)?;
            }
            Ok(txn.commit()?)
        })
    }

    /// Returns what `pick` makes of every entry of a table, in the order of their keys, read in one transaction.
    pub(crate) fn all<T>(&self, table: Table, pick: impl Fn(Digest, &[u8]) -> Option<T>) -> Result<Vec<T>, CacheError> {
        self.with(|opened| {
            let txn = opened.env.read_txn()?;
            let mut picked = Vec::new();
            for entry in opened.table(table).iter(&txn)? {
                let (key, entry) = entry?;
                picked.extend(Digest::from_slice(key).and_then(|key| pick(key, entry)));
            }
            Ok(picked)
        })
    }

    /// Returns how many entries a table has.
    pub(crate) fn count(&self, table: Table) -> Result<u64, CacheError> {
        self.with(|opened| Ok(opened.table(table).len(&*opened.env.read_txn()?)?))
    }

    /// Returns the size of the environment's file, in bytes.
    pub(crate) fn bytes(&self) -> Result<u64, CacheError> {
        self.with(|opened| Ok(opened.env.real_disk_size()?))
    }

    fn guard(&self) -> Result<RwLockReadGuard<'_, Option<Opened>>, CacheError> {
        loop {
            let guard = self.opened.read().unwrap_or_else(PoisonError::into_inner);
            if guard.is_some() {
                return Ok(guard);
            }
            drop(guard);
            // An earlier attempt to reopen it with a larger map failed; this one may succeed.
            self.reopen(0, default_map_size())?;
        }
    }

    /// Closes the environment and opens it larger, unless another thread did so since its size was `seen`.
    fn reopen(&self, seen: usize, map_size: usize) -> Result<(), CacheError> {
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        if opened.as_ref().is_some_and(|opened| opened.map_size != seen) {
            return Ok(());
        }
        // LMDB forbids a second environment on the same file, so the first is closed before.
        *opened = None;
        let larger = open(&self.path, map_size).map_err(|error| self.error(error))?;
        if larger.map_size <= seen && map_size > seen {
            // There is no more address space: the map cannot be larger, and trying again would go on for ever.
            *opened = Some(larger);
            return Err(self.error(heed::Error::Mdb(MdbError::MapFull)));
        }
        *opened = Some(larger);
        Ok(())
    }

    /// Replaces an input or output error by that of the disk, where the disk is full: LMDB reports any write that was cut short as `EIO`.
    fn explain(&self, error: heed::Error) -> heed::Error {
        match &error {
            heed::Error::Io(reason) if reason.raw_os_error() == Some(EIO) => {
                let written = tempfile::tempfile_in(&self.path).and_then(|mut file| file.write_all(&[0; 4096]));
                written.err().map_or(error, heed::Error::Io)
            }
            _ => error,
        }
    }

    fn error(&self, error: heed::Error) -> CacheError {
        CacheError::Memo { path: self.path.clone(), source: Arc::new(error) }
    }

    /// Returns the error of a failed opening. It blames the disk where the system does, the file where LMDB does, else the file system.
    fn refusal(&self, error: heed::Error) -> CacheError {
        use std::io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let blamed = match &error {
            heed::Error::Io(error) => {
                matches!(error.kind(), StorageFull | QuotaExceeded | PermissionDenied | ReadOnlyFilesystem)
            }
            heed::Error::Mdb(_) => true,
            _ => false,
        };
        if blamed {
            return self.error(error);
        }
        let mount = mount::of(&self.path).map_or_else(|| self.path.clone(), |mount| mount.point);
        CacheError::Probe { path: self.path.clone(), mount, reason: error.to_string() }
    }
}

#[cfg(test)]
mod tests;
