//! The LMDB environment. Takes a folder; gives an open environment, and a test that it stores what is written.

use std::{path::Path, time::Duration};

use heed::{Database, Env, EnvOpenOptions, RwTxn, WithoutTls, types::Bytes};

use super::Table;
use crate::digest::Digest;

/// How much of the address space the environment first asks for, in bytes. The file is only as large as what is in it.
const MAP_SIZE: u64 = 64 << 30;

/// A map of at most this size is not halved any more, in bytes.
const SMALLEST_MAP_SIZE: usize = 16 << 20;

/// Transactions that may read at once, over all processes.
const READERS: u32 = 1024;

/// The environment while it is open.
pub(crate) struct Opened {
    pub(crate) env: Env<WithoutTls>,
    tables: Vec<Database<Bytes, Bytes>>,
    pub(super) map_size: usize,
}

impl Opened {
    pub(crate) fn table(&self, table: Table) -> Database<Bytes, Bytes> {
        self.tables[table as usize]
    }

    pub(crate) fn get(&self, txn: &heed::RoTxn<'_>, table: Table, key: &Digest) -> Result<Option<Vec<u8>>, heed::Error> {
        Ok(self.table(table).get(txn, key.as_bytes())?.map(<[u8]>::to_vec))
    }

    pub(crate) fn put(&self, txn: &mut RwTxn<'_>, table: Table, key: &Digest, entry: &[u8]) -> Result<(), heed::Error> {
        self.table(table).put(txn, key.as_bytes(), entry)
    }

    pub(crate) fn delete(&self, txn: &mut RwTxn<'_>, table: Table, key: &Digest) -> Result<bool, heed::Error> {
        self.table(table).delete(txn, key.as_bytes())
    }
}

/// Opens the environment with the largest map of at most `map_size` bytes that the process may have.
pub(super) fn open(path: &Path, mut map_size: usize) -> Result<Opened, heed::Error> {
    if let Some(closing) = heed::env_closing_event(path) {
        // The last user of this environment in this process is just closing it.
        closing.wait_timeout(Duration::from_secs(10));
    }
    let env = loop {
        match map(path, map_size) {
            Err(heed::Error::Io(error)) if error.kind() == std::io::ErrorKind::OutOfMemory && map_size > SMALLEST_MAP_SIZE => {
                map_size /= 2;
            }
            opened => break opened?,
        }
    };
    let mut txn = env.write_txn()?;
    let tables =
        Table::ALL.iter().map(|table| env.create_database(&mut txn, Some(table.name()))).collect::<Result<Vec<_>, _>>()?;
    txn.commit()?;
    // LMDB makes the map larger where the file is larger already.
    let map_size = env.info().map_size;
    Ok(Opened { env, tables, map_size })
}

pub(super) fn default_map_size() -> usize {
    usize::try_from(MAP_SIZE).unwrap_or(1 << 30)
}

#[expect(unsafe_code, reason = "opening a memory-mapped database is unsafe in every binding")]
fn map(path: &Path, map_size: usize) -> Result<Env<WithoutTls>, heed::Error> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(map_size).max_dbs(u32::try_from(Table::ALL.len() + 1).unwrap_or(u32::MAX)).max_readers(READERS);
    // SAFETY: the map is sound as long as its file is changed through LMDB alone. The folder is the cache's own, readable by its owner
    // alone, on no network file system; nothing in this crate touches the files in it, and no flag weakens LMDB's locking. heed
    // refuses to open one path twice in a process.
    unsafe { options.open(path) }
}

/// Writes a number durably and reads it back, as replies will be.
pub(super) fn probe(opened: &Opened) -> Result<(), heed::Error> {
    let mut txn = opened.env.write_txn()?;
    let table: Database<Bytes, Bytes> = opened.env.create_database(&mut txn, Some("probe"))?;
    let before = number(table.get(&txn, b"probe")?);
    let written = before.wrapping_add(1);
    table.put(&mut txn, b"probe", &written.to_le_bytes())?;
    txn.commit()?;
    let after = number(table.get(&*opened.env.read_txn()?, b"probe")?);
    // Another process may have written since.
    if after < written {
        return Err(heed::Error::Io(std::io::Error::other(format!("{written} was written and {after} was read"))));
    }
    Ok(())
}

fn number(bytes: Option<&[u8]>) -> u64 {
    bytes.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}
