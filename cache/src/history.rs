//! A manifest and a stage in, the key that the stage had last out.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    damage::Damage,
    digest::Digest,
    error::CacheError,
    memo::{Table, value},
    preimage::Key,
    store::Store,
};

/// Uses are written down no oftener than this, in seconds, so that a run of hits writes nothing.
pub(crate) const USE_STEP: u64 = 60 * 60;

/// What history keeps of a stage: names in full, so that it can be listed.
#[derive(Serialize, Deserialize)]
pub(crate) struct Last {
    pub(crate) manifest: String,
    pub(crate) stage: String,
    pub(crate) key: Key,
}

/// Returns the name under which history keeps a stage.
pub(crate) fn history_name(manifest: &str, stage: &str) -> Digest {
    Digest::of_value(&(manifest, stage)).expect("texts have a digest")
}

/// Reads the key from an entry of the history.
pub(crate) fn last_key(store: &Store, name: &Digest, entry: &[u8]) -> Result<Option<Key>, CacheError> {
    Ok(parse::<Last>(store, Table::History, name, entry)?.map(|last| last.key))
}

/// Reads an entry's JSON; one that this version cannot read is damaged, and computed again.
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
