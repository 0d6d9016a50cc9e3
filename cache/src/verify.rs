//! Inspection. Takes a cache; gives counts of what is in it, or everything in it that is damaged.

use serde::Serialize;

use crate::{
    blobs::entries,
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
    /// Units that a process is calling for, or was when it died.
    pub claims: u64,
    /// Blobs.
    pub blobs: u64,
    /// Size of the blobs and the database on disk, in bytes.
    pub bytes: u64,
    /// Size of the database on disk, in bytes.
    pub memo_bytes: u64,
    /// Files set aside as damaged.
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
    stats.damaged = entries(&store.blobs.root().damaged())?.len() as u64;
    Ok(stats)
}

/// Reads every blob and every entry. Sets damaged ones aside, so that the next run computes them again.
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
        found.extend(damaged.iter().map(|(key, _)| Damage::Entry { table: table.name(), key: *key }));
        if !store.is_writable() {
            continue;
        }
        for (key, entry) in &damaged {
            let aside = store.blobs.folder.damaged().join(format!("{}-{key}", table.name()));
            std::fs::write(&aside, entry).map_err(|error| CacheError::io("write", &aside, error))?;
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
