//! The last key of every stage. Takes a manifest and a stage; gives the key that the stage had last.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    damage::Damage,
    digest::Digest,
    error::CacheError,
    memo::{Table, value},
    preimage::Key,
    store::Store,
};

/// The use of a result is recorded at most once in this many seconds, so that a run of hits writes nothing.
pub(crate) const USE_STEP: u64 = 60 * 60;

/// An entry of the history. It has the names in full, so that the history can be listed.
#[derive(Serialize, Deserialize)]
pub(crate) struct Last {
    pub(crate) manifest: String,
    pub(crate) stage: String,
    pub(crate) key: Key,
}

/// Returns the name of a stage's entry in the history.
pub(crate) fn history_name(manifest: &str, stage: &str) -> Digest {
    Digest::of_value(&(manifest, stage)).expect("texts have a digest")
}

/// Reads the key from an entry of the history.
pub(crate) fn last_key(store: &Store, name: &Digest, entry: &[u8]) -> Result<Option<Key>, CacheError> {
    Ok(parse::<Last>(store, Table::History, name, entry)?.map(|last| last.key))
}

/// Parses an entry's JSON. An entry that this version cannot parse counts as damaged, and is computed again.
pub(crate) fn parse<T: DeserializeOwned>(
    store: &Store,
    table: Table,
    key: &Digest,
    entry: &[u8],
) -> Result<Option<T>, CacheError> {
    let Some(json) = value::decode(table, key, entry, &store.blobs)? else {
        return Ok(None);
    };
    let value = serde_json::from_slice(&json).ok();
    if value.is_none() {
        store.blobs.damage.add(Damage::Entry { table: table.name(), key: *key });
    }
    Ok(value)
}
