//! A cache in, everything in it that is damaged out, set aside on the way.

use serde::Serialize;

use crate::{
    damage::Damage,
    digest::Digest,
    error::CacheError,
    memo::{Table, value},
    store::Store,
};

/// What is in a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Stats {
    /// Results of stages.
    pub results: u64,
    /// Preimages of stages.
    pub preimages: u64,
    /// Checkpoints of stages that did not end.
    pub partials: u64,
    /// Replies.
    pub replies: u64,
    /// Units that somebody is getting, or has died over.
    pub claims: u64,
    /// Blobs.
    pub blobs: u64,
    /// Size of blobs and memo on disk, in bytes.
    pub bytes: u64,
    /// Size of the memo's part of them.
    pub memo_bytes: u64,
    /// Things set aside as damaged.
    pub damaged: u64,
}

pub(crate) fn stats(store: &Store) -> Result<Stats, CacheError> {
    let mut stats = Stats {
        results: store.memo.count(Table::Results)?,
        preimages: store.memo.count(Table::Preimages)?,
        partials: store.memo.count(Table::Partials)?,
        replies: store.memo.count(Table::Replies)?,
        claims: store.memo.count(Table::Claims)?,
        memo_bytes: store.memo.bytes()?,
        ..Stats::default()
    };
    stats.bytes = stats.memo_bytes;
    store.blobs.each(|_, stored, _| {
        stats.blobs += 1;
        stats.bytes += stored.bytes;
        Ok(())
    })?;
    let damaged = store.blobs.folder.damaged();
    let entries = std::fs::read_dir(&damaged).map_err(|error| CacheError::io("read", &damaged, error))?;
    stats.damaged = entries.count() as u64;
    Ok(stats)
}

/// Reads every blob and every entry. Damaged ones are set aside and removed, so that the next run makes them anew.
pub(crate) fn verify(store: &Store) -> Result<Vec<Damage>, CacheError> {
    let mut digests = Vec::new();
    store.blobs.each(|digest, _, _| {
        digests.push(digest);
        Ok(())
    })?;
    for digest in &digests {
        store.blobs.check(digest)?;
    }
    let mut found = store.blobs.damage.take();
    for table in Table::ALL {
        let intact = |key: &Digest, entry: &[u8]| value::open(table, key, entry).is_some();
        let damaged = store.memo.all(table, |key, entry| (!intact(&key, entry)).then(|| (key, entry.to_vec())))?;
        for (key, entry) in &damaged {
            let aside = store.blobs.folder.damaged().join(format!("{}-{key}", table.name()));
            std::fs::write(&aside, entry).map_err(|error| CacheError::io("write", &aside, error))?;
            found.push(Damage::Entry { table: table.name(), key: *key });
        }
        let deletes: Vec<_> = damaged.into_iter().map(|(key, _)| (table, key)).collect();
        if !deletes.is_empty() {
            store.memo.change(&[], &deletes)?;
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}
