//! Garbage collection. Takes a time limit; gives counts of what it removed: results that were not used since, and blobs that nothing
//! needs. Read `collect` first, then the functions in the order in which it calls them.
//!
//! Other processes may use the cache meanwhile. Each marks what it uses with the time: a result or checkpoint in an entry of the
//! database, a blob in the time of change of its file. Whatever was marked since the first of these processes opened the cache stays,
//! however long ago that was. Every mark is read a second time: in the transaction that deletes, or after the blob's file was moved away.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::Serialize;

use crate::{
    blobs::entries,
    digest::Digest,
    error::CacheError,
    folder::now,
    history::{USE_STEP, last_key},
    lock::{self, Others},
    memo::{Fault, Opened, Table, value},
    output::{Output, Partial, StageResult},
    store::Store,
};

/// Blobs younger than this stay, in seconds: a stage that failed may have made them, and its next run finds them.
const YOUNG: u64 = 60 * 60;

/// How long a batch job is remembered at least, in seconds: no provider keeps the replies of a job for longer.
const JOB: u64 = 30 * 24 * 60 * 60;

/// What may be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collect {
    /// How long results and checkpoints must have been unused to be removed. The time of use is recorded to the hour.
    pub older_than: Duration,
    /// Whether replies that were stored this long ago are removed too. They may have been paid for.
    pub replies: bool,
    /// Whether to count what would be removed, and remove nothing.
    pub dry: bool,
}

/// What was removed, or would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Collected {
    /// Results of stages.
    pub results: u64,
    /// Preimages that no result and no history needs.
    pub preimages: u64,
    /// Checkpoints of stages that did not end.
    pub partials: u64,
    /// Replies.
    pub replies: u64,
    /// Blobs.
    pub blobs: u64,
    /// Files set aside as damaged.
    pub damaged: u64,
    /// Size on disk of blobs, damaged files and temporary files, in bytes. The database's file does not shrink; its pages are reused.
    pub bytes: u64,
    /// What stays, and why.
    pub left: Left,
}

impl Collected {
    /// Returns whether nothing was removed, or would be.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        Self { left: Left::default(), ..*self } == Self::default()
    }
}

/// What stays in a collected cache, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Left {
    /// Results that were used since the limit.
    pub results: u64,
    /// When the least recently used of them was used, in seconds since 1970.
    pub oldest_use: Option<u64>,
    /// Replies.
    pub replies: u64,
    /// Blobs that nothing needs and that are too young to be removed.
    pub young_blobs: u64,
    /// Other processes that have the cache open: what they have used since they opened it stays, and so do all replies.
    pub processes: u64,
}

/// The latest times of use of what may be removed.
#[derive(Clone, Copy)]
struct Limits {
    others: Others,
    /// For entries of the database, in seconds since 1970.
    entry: u64,
    /// For blobs.
    blob: SystemTime,
}

impl Limits {
    fn now(store: &Store, what: Collect) -> Result<Self, CacheError> {
        let others = lock::others(&store.blobs.folder, &store.blobs.presence.owner)?;
        let now = now();
        let since = others.since.map(|since| since / 1000);
        let at_most = |limit: u64, since: Option<u64>| since.map_or(limit, |since| limit.min(since));
        Ok(Self {
            others,
            // A use is not recorded again within `USE_STEP` of the last one.
            entry: at_most(now.saturating_sub(what.older_than.as_secs()), since.map(|since| since.saturating_sub(USE_STEP + 1))),
            // File systems keep time by clocks of their own, which may lag a little.
            blob: UNIX_EPOCH
                + Duration::from_secs(at_most(now.saturating_sub(YOUNG), since.map(|since| since.saturating_sub(1)))),
        })
    }

    fn takes(&self, table: Table, time: u64) -> bool {
        match table {
            Table::Replies => time <= self.entry && self.others.count == 0,
            Table::Submitted => time <= self.entry && time + JOB <= now(),
            _ => time <= self.entry,
        }
    }
}

pub(crate) fn collect(store: &Store, what: Collect) -> Result<Collected, CacheError> {
    if !what.dry {
        store.check_writable()?;
    }
    let limits = Limits::now(store, what)?;
    let mut candidates = Vec::new();
    let tables = [Table::Results, Table::Partials, Table::Submitted];
    for table in tables.into_iter().chain(what.replies.then_some(Table::Replies)) {
        let uses = if table == Table::Results { times(store, Table::Uses)? } else { BTreeMap::new() };
        let last_use = |key: Digest, entry: &[u8]| {
            let time = uses.get(&key).copied().unwrap_or(0).max(value::time(entry));
            limits.takes(table, time).then_some((table, key))
        };
        candidates.extend(store.memo.all(table, last_use)?);
    }
    candidates.extend(preimages(store, limits, &candidates)?);
    let (gone, limits) = if what.dry { (candidates, limits) } else { delete(store, what, &candidates)? };
    let gone: BTreeSet<(Table, Digest)> = gone.into_iter().collect();
    let count = |of: Table| gone.iter().filter(|(table, _)| *table == of).count() as u64;
    let mut collected = Collected {
        results: count(Table::Results),
        preimages: count(Table::Preimages),
        partials: count(Table::Partials),
        replies: count(Table::Replies),
        ..Collected::default()
    };
    collected.left.processes = limits.others.count;

    // The database comes first: a blob without an entry only takes space, but an entry without a blob has to be computed again.
    let needed = needed(store, &gone, &mut collected.left)?;
    sweep(store, what, limits, &needed, &mut collected)?;
    Ok(collected)
}

fn times(store: &Store, table: Table) -> Result<BTreeMap<Digest, u64>, CacheError> {
    Ok(store.memo.all(table, |key, entry| Some((key, value::time(entry))))?.into_iter().collect())
}

/// Finds old preimages whose result is gone or will be deleted. The last preimage of a stage stays: it says what changed since.
fn preimages(store: &Store, limits: Limits, going: &[(Table, Digest)]) -> Result<Vec<(Table, Digest)>, CacheError> {
    let mut kept: BTreeSet<Digest> = times(store, Table::Results)?.into_keys().collect();
    for (table, key) in going {
        if *table == Table::Results {
            kept.remove(key);
        }
    }
    for (name, entry) in store.memo.all(Table::History, |name, entry| Some((name, entry.to_vec())))? {
        kept.extend(last_key(store, &name, &entry)?.map(|key| *key.digest()));
    }
    store.memo.all(Table::Preimages, |key, entry| {
        let goes = !kept.contains(&key) && limits.takes(Table::Preimages, value::time(entry));
        goes.then_some((Table::Preimages, key))
    })
}

/// Deletes entries in one transaction, except those that came into use since they were found. Returns the deleted ones, and the limits
/// that applied.
fn delete(store: &Store, what: Collect, candidates: &[(Table, Digest)]) -> Result<(Vec<(Table, Digest)>, Limits), CacheError> {
    store.memo.with(|opened| {
        let mut txn = opened.env.write_txn()?;
        // Computed while nobody else can write: a process that opens the cache from here on finds only what is left.
        let limits = Limits::now(store, what).map_err(Fault::Cache)?;
        let mut gone = Vec::with_capacity(candidates.len());
        for (table, key) in candidates {
            if !may_go(opened, &txn, limits, *table, key)? {
                continue;
            }
            opened.delete(&mut txn, *table, key)?;
            if *table == Table::Results {
                opened.delete(&mut txn, Table::Uses, key)?;
            }
            gone.push((*table, *key));
        }
        txn.commit()?;
        Ok((gone, limits))
    })
}

fn may_go(opened: &Opened, txn: &heed::RoTxn<'_>, limits: Limits, table: Table, key: &Digest) -> Result<bool, Fault> {
    let time = |table| Ok::<_, Fault>(opened.get(txn, table, key)?.map(|entry| value::time(&entry)));
    let last_use = match table {
        Table::Results => time(Table::Uses)?.max(time(table)?),
        // A preimage is deleted with its result or after it.
        Table::Preimages if time(Table::Results)?.is_some() => return Ok(false),
        _ => time(table)?,
    };
    Ok(last_use.is_some_and(|last_use| limits.takes(table, last_use)))
}

/// Finds the blobs that the remaining entries need, and counts what stays.
fn needed(store: &Store, gone: &BTreeSet<(Table, Digest)>, left: &mut Left) -> Result<BTreeSet<Digest>, CacheError> {
    let mut needed = BTreeSet::new();
    for table in Table::ALL {
        let stays = |key: &Digest| !gone.contains(&(table, *key));
        needed.extend(store.memo.all(table, |key, entry| stays(&key).then(|| blob_of(table, &key, entry)).flatten())?);
    }
    let uses = times(store, Table::Uses)?;
    for table in [Table::Results, Table::Partials] {
        for (key, entry) in store.memo.all(table, |key, entry| Some((key, entry.to_vec())))? {
            if gone.contains(&(table, key)) {
                continue;
            }
            if table == Table::Results {
                let used = uses.get(&key).copied().unwrap_or(0).max(value::time(&entry));
                left.results += 1;
                left.oldest_use = Some(left.oldest_use.map_or(used, |oldest| oldest.min(used)));
            }
            for output in outputs(store, table, &key, &entry)? {
                needed.insert(output.digest);
                match store.blobs.needed(&output) {
                    Ok(digests) => needed.extend(digests.unwrap_or_default()),
                    // Such a tree is never served, so nobody needs its files.
                    Err(CacheError::UnsafeTree { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
    left.replies =
        times(store, Table::Replies)?.into_keys().filter(|unit| !gone.contains(&(Table::Replies, *unit))).count() as u64;
    Ok(needed)
}

/// Returns the outputs that an entry of a table names; none where the entry is damaged.
fn outputs(store: &Store, table: Table, key: &Digest, entry: &[u8]) -> Result<Vec<Output>, CacheError> {
    let Some(json) = value::decode(table, key, entry, &store.blobs)? else { return Ok(Vec::new()) };
    Ok(if table == Table::Partials {
        serde_json::from_slice::<Partial>(&json).map(|partial| vec![partial.output]).unwrap_or_default()
    } else {
        serde_json::from_slice::<StageResult>(&json).map(|result| result.outputs.into_values().collect()).unwrap_or_default()
    })
}

fn blob_of(table: Table, key: &Digest, entry: &[u8]) -> Option<Digest> {
    match value::open(table, key, entry)? {
        value::Body::Blob(digest) => Some(digest),
        value::Body::Value(_) => None,
    }
}

/// Removes blobs that are not needed and were not used since the limit, what was set aside as damaged, and files of dead processes.
fn sweep(
    store: &Store,
    what: Collect,
    limits: Limits,
    needed: &BTreeSet<Digest>,
    collected: &mut Collected,
) -> Result<(), CacheError> {
    let blobs = &store.blobs;
    blobs.each(|digest, stored, changed| {
        if needed.contains(&digest) {
            return Ok(());
        }
        let unused = changed <= limits.blob && (what.dry || blobs.remove_unused(&stored, limits.blob)?);
        if unused {
            collected.blobs += 1;
            collected.bytes += stored.bytes;
        } else {
            collected.left.young_blobs += 1;
        }
        Ok(())
    })?;
    for path in entries(&blobs.root().damaged())? {
        let Ok(metadata) = fs::metadata(&path) else { continue };
        collected.damaged += 1;
        collected.bytes += metadata.len();
        if !what.dry {
            fs::remove_file(&path).map_err(|error| CacheError::io("remove", &path, error))?;
        }
    }
    collected.bytes += lock::sweep(&blobs.folder, what.dry)?;
    Ok(())
}

#[cfg(test)]
mod tests;
