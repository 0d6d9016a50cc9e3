//! A time limit in, out go results that were not used since, and blobs that nothing needs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    time::{Duration, SystemTime},
};

use serde::Serialize;

use crate::{
    digest::Digest,
    error::CacheError,
    folder::now,
    history::last_key,
    lock,
    memo::{Table, value},
    output::{Output, Partial, StageResult},
    store::Store,
};

/// Blobs younger than this stay: a running stage may have made them and not have recorded its result yet.
const YOUNG: Duration = Duration::from_hours(1);

/// What may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collect {
    /// Results and checkpoints go that were not used for this long. The time of use is kept to the hour.
    pub older_than: Duration,
    /// Whether replies go too, that were stored this long ago. They may have been paid for.
    pub replies: bool,
    /// Whether to say what would go, and leave it.
    pub dry: bool,
}

/// What went, or would go.
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
    /// Bytes on disk of blobs and temporary files; the memo's file is used again and does not shrink.
    pub bytes: u64,
}

pub(crate) fn collect(store: &Store, what: Collect) -> Result<Collected, CacheError> {
    let limit = now().saturating_sub(what.older_than.as_secs());
    let old = |time: u64| time <= limit;
    let mut needed = BTreeSet::new();
    let mut deletes = Vec::new();
    let mut collected = Collected::default();

    let last_use: BTreeMap<Digest, u64> =
        store.memo.all(Table::Uses, |key, entry| Some((key, value::time(entry))))?.into_iter().collect();
    let mut kept = BTreeSet::new();
    for (key, entry) in store.memo.all(Table::Results, |key, entry| Some((key, entry.to_vec())))? {
        let used = last_use.get(&key).copied().unwrap_or_else(|| value::time(&entry));
        if old(used) {
            collected.results += 1;
            deletes.extend([(Table::Results, key), (Table::Uses, key)]);
            continue;
        }
        kept.insert(key);
        keep(store, Table::Results, &key, &entry, &mut needed, |result: StageResult| result.outputs.into_values().collect())?;
    }
    for (key, entry) in store.memo.all(Table::Partials, |key, entry| Some((key, entry.to_vec())))? {
        if old(value::time(&entry)) {
            collected.partials += 1;
            deletes.push((Table::Partials, key));
        } else {
            keep(store, Table::Partials, &key, &entry, &mut needed, |partial: Partial| vec![partial.output])?;
        }
    }
    // The last key of a stage says what changed since, with its preimage, though its result is gone.
    for (name, entry) in store.memo.all(Table::History, |name, entry| Some((name, entry.to_vec())))? {
        kept.extend(last_key(store, &name, &entry)?.map(|key| *key.digest()));
    }
    for (key, entry) in store.memo.all(Table::Preimages, |key, entry| Some((key, entry.to_vec())))? {
        if kept.contains(&key) {
            needed.extend(blob_of(Table::Preimages, &key, &entry));
        } else if old(value::time(&entry)) {
            collected.preimages += 1;
            deletes.push((Table::Preimages, key));
        }
    }
    for (unit, time, blob) in
        store.memo.all(Table::Replies, |unit, entry| Some((unit, value::time(entry), blob_of(Table::Replies, &unit, entry))))?
    {
        if what.replies && old(time) {
            collected.replies += 1;
            deletes.push((Table::Replies, unit));
        } else {
            needed.extend(blob);
        }
    }
    // No provider keeps what came of a job for as long as replies are kept.
    for (unit, time) in store.memo.all(Table::Submitted, |unit, entry| Some((unit, value::time(entry))))? {
        if old(time) {
            deletes.push((Table::Submitted, unit));
        }
    }

    // The memo first: a blob without an entry is a blob too many, an entry without a blob is work to do again.
    if !what.dry {
        store.memo.change(&[], &deletes)?;
    }
    let young = SystemTime::now().checked_sub(YOUNG);
    store.blobs.each(|digest, stored, changed| {
        if needed.contains(&digest) || young.is_none_or(|young| changed > young) {
            return Ok(());
        }
        collected.blobs += 1;
        collected.bytes += stored.bytes;
        if what.dry {
            return Ok(());
        }
        match fs::remove_file(&stored.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(CacheError::io("remove", &stored.path, error)),
            _ => Ok(()),
        }
    })?;
    collected.bytes += lock::sweep(&store.blobs.folder, what.dry)?;
    Ok(collected)
}

/// Adds the blobs that an entry needs: its own, and those of its outputs with their trees.
fn keep<T: serde::de::DeserializeOwned>(
    store: &Store,
    table: Table,
    key: &Digest,
    entry: &[u8],
    needed: &mut BTreeSet<Digest>,
    outputs: impl Fn(T) -> Vec<Output>,
) -> Result<(), CacheError> {
    needed.extend(blob_of(table, key, entry));
    let value = value::decode(table, key, entry, &store.blobs)?;
    let Some(value) = value.and_then(|json| serde_json::from_slice(&json).ok()) else {
        return Ok(());
    };
    for output in outputs(value) {
        needed.insert(output.digest);
        needed.extend(store.blobs.needed(&output)?.unwrap_or_default());
    }
    Ok(())
}

fn blob_of(table: Table, key: &Digest, entry: &[u8]) -> Option<Digest> {
    match value::open(table, key, entry)? {
        value::Body::Blob(digest) => Some(digest),
        value::Body::Value(_) => None,
    }
}
