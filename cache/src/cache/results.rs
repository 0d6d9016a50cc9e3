//! A stage's preimage and result in, the result out by its key: as far as the mode lets it.

use serde::{Serialize, de::DeserializeOwned};

use super::Cache;
use crate::{
    blobs::Blobs,
    digest::Digest,
    error::CacheError,
    folder::now,
    history::{Last, history_name, last_key, parse},
    memo::{Table, value},
    output::{Output, Partial, StageResult},
    preimage::{Key, Preimage},
};

/// Uses are noted no oftener than this, in seconds, so that a run of hits writes nothing.
const USE_STEP: u64 = 60 * 60;

/// Results of stages: taken and kept as the mode says.
impl Cache {
    /// Returns what a stage made; `None` where nothing is remembered or a blob of it is gone.
    pub fn result(&self, key: &Key) -> Result<Option<StageResult>, CacheError> {
        if !self.mode.reads() {
            return Ok(None);
        }
        let Some(result) = self.get::<StageResult>(Table::Results, key.digest())? else {
            return Ok(None);
        };
        let whole = self.all_there(result.outputs.values())?;
        Ok(whole.then_some(result))
    }

    /// Remembers what a stage made, why, and that it was the stage's last: one durable transaction.
    pub fn record(&self, preimage: &Preimage, result: &StageResult, manifest: &str, stage: &str) -> Result<(), CacheError> {
        if !self.mode.writes() {
            return Ok(());
        }
        let key = preimage.key();
        let (history, last) = self.history(&key, manifest, stage)?;
        let puts = [
            self.entry(Table::Results, *key.digest(), result)?,
            self.entry(Table::Preimages, *key.digest(), preimage)?,
            self.use_of(&key)?,
            (Table::History, history, last),
        ];
        self.store.memo.change(&puts, &[(Table::Partials, *key.digest())])
    }

    /// Returns what a key is the digest of.
    pub fn preimage(&self, key: &Key) -> Result<Option<Preimage>, CacheError> {
        self.get(Table::Preimages, key.digest())
    }

    /// Forgets a result, so that its stage runs again. Its blobs stay until they are collected.
    pub fn forget(&self, key: &Key) -> Result<(), CacheError> {
        self.store.memo.change(&[], &[(Table::Results, *key.digest()), (Table::Partials, *key.digest())])
    }

    /// Returns the key that a stage of a manifest had last.
    pub fn last(&self, manifest: &str, stage: &str) -> Result<Option<Key>, CacheError> {
        let name = history_name(manifest, stage);
        match self.store.memo.get(Table::History, &name)? {
            Some(entry) => last_key(&self.store, &name, &entry),
            None => Ok(None),
        }
    }

    /// Notes that results were used by stages (key, manifest, stage). Writes nothing where that is known.
    pub fn used(&self, hits: &[(Key, &str, &str)]) -> Result<(), CacheError> {
        if !self.mode.writes() {
            return Ok(());
        }
        let keys: Vec<Digest> = hits.iter().map(|(key, ..)| *key.digest()).collect();
        let uses = self.store.memo.get_all(Table::Uses, &keys)?;
        let mut puts = Vec::new();
        for ((key, manifest, stage), before) in hits.iter().zip(uses) {
            if before.is_none_or(|entry| value::time(&entry) + USE_STEP < now()) {
                puts.push(self.use_of(key)?);
            }
            if self.last(manifest, stage)? != Some(*key) {
                let (history, last) = self.history(key, manifest, stage)?;
                puts.push((Table::History, history, last));
            }
        }
        if puts.is_empty() { Ok(()) } else { self.store.memo.change(&puts, &[]) }
    }

    /// Returns how far a stage got before; `None` where nothing is remembered or a blob of it is gone.
    pub fn partial(&self, key: &Key) -> Result<Option<Partial>, CacheError> {
        if !self.mode.reads() {
            return Ok(None);
        }
        let Some(partial) = self.get::<Partial>(Table::Partials, key.digest())? else {
            return Ok(None);
        };
        let whole = self.all_there([&partial.output])?;
        Ok(whole.then_some(partial))
    }

    /// Remembers how far a stage got, durably, until its result is recorded.
    pub fn keep_partial(&self, key: &Key, partial: &Partial) -> Result<(), CacheError> {
        if !self.mode.writes() {
            return Ok(());
        }
        let entry = self.entry(Table::Partials, *key.digest(), partial)?;
        self.store.memo.change(&[entry], &[])
    }

    fn all_there<'a>(&self, outputs: impl IntoIterator<Item = &'a Output>) -> Result<bool, CacheError> {
        for output in outputs {
            let Some(digests) = self.store.blobs.needed(output)? else {
                return Ok(false);
            };
            for digest in digests {
                let Some(stored) = self.store.blobs.find(&digest) else {
                    return Ok(false);
                };
                if self.mode.writes() {
                    Blobs::touch(&stored);
                }
            }
        }
        Ok(true)
    }

    pub(super) fn get<T: DeserializeOwned>(&self, table: Table, key: &Digest) -> Result<Option<T>, CacheError> {
        let Some(entry) = self.store.memo.get(table, key)? else {
            return Ok(None);
        };
        parse(&self.store, table, key, &entry)
    }

    pub(super) fn entry(
        &self,
        table: Table,
        key: Digest,
        content: &impl Serialize,
    ) -> Result<(Table, Digest, Vec<u8>), CacheError> {
        let json = serde_json::to_vec(content).map_err(|error| CacheError::Value { reason: error.to_string() })?;
        Ok((table, key, value::encode(table, &key, &json, now(), &self.store.blobs)?))
    }

    fn use_of(&self, key: &Key) -> Result<(Table, Digest, Vec<u8>), CacheError> {
        let entry = value::encode(Table::Uses, key.digest(), &[], now(), &self.store.blobs)?;
        Ok((Table::Uses, *key.digest(), entry))
    }

    fn history(&self, key: &Key, manifest: &str, stage: &str) -> Result<(Digest, Vec<u8>), CacheError> {
        let last = Last { manifest: manifest.to_owned(), stage: stage.to_owned(), key: *key };
        let (_, name, entry) = self.entry(Table::History, history_name(manifest, stage), &last)?;
        Ok((name, entry))
    }
}
