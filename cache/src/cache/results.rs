//! Results of stages. Takes a stage's preimage and result; gives the result back by its key, as far as the mode allows.

use serde::{Serialize, de::DeserializeOwned};

use super::Cache;
use crate::{
    blobs::Blobs,
    digest::Digest,
    error::CacheError,
    folder::now,
    history::{Last, USE_STEP, history_name, last_key, parse},
    memo::{Table, value},
    mode::Mode,
    output::{Output, Partial, StageResult},
    preimage::{Key, Preimage},
};

/// Results of stages: used and kept as the mode says.
impl Cache {
    /// Returns the result of a stage's key; `None` where there is none, or a blob of it is gone. Its blobs count as used now.
    ///
    /// # Errors
    /// [`CacheError::UnsafeTree`] where a name in one of its trees leads out of a folder; otherwise the database or a blob cannot be read.
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

    /// Stores a stage's result with its preimage, and records its key as the stage's last, in one durable transaction.
    ///
    /// # Errors
    /// [`CacheError::ReadOnly`] where the mode says to keep it and the folder cannot be written; otherwise the database cannot be written.
    pub fn record(&self, preimage: &Preimage, result: &StageResult, manifest: &str, stage: &str) -> Result<(), CacheError> {
        if !self.keeps()? {
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

    /// Returns the preimage that a key is the digest of.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn preimage(&self, key: &Key) -> Result<Option<Preimage>, CacheError> {
        self.get(Table::Preimages, key.digest())
    }

    /// Removes a result, so that its stage runs again. Its blobs stay until they are collected.
    ///
    /// # Errors
    /// [`CacheError::ReadOnly`] where the folder cannot be written; otherwise the database cannot be written.
    pub fn forget(&self, key: &Key) -> Result<(), CacheError> {
        self.store.check_writable()?;
        self.store.memo.change(&[], &[(Table::Results, *key.digest()), (Table::Partials, *key.digest())])
    }

    /// Returns the key that a stage of a manifest had last.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn last(&self, manifest: &str, stage: &str) -> Result<Option<Key>, CacheError> {
        let name = history_name(manifest, stage);
        match self.store.memo.get(Table::History, &name)? {
            Some(entry) => last_key(&self.store, &name, &entry),
            None => Ok(None),
        }
    }

    /// Records that stages (key, manifest, stage) use results, so that these are not collected, and returns whether all of them are still
    /// there. Writes nothing where the same was recorded within the last hour.
    ///
    /// # Errors
    /// The database cannot be read or written.
    pub fn used(&self, hits: &[(Key, &str, &str)]) -> Result<bool, CacheError> {
        let keys: Vec<Digest> = hits.iter().map(|(key, ..)| *key.digest()).collect();
        let there = self.store.memo.get_all(Table::Results, &keys)?.iter().all(Option::is_some);
        if !self.store.is_writable() || self.mode == Mode::Off {
            return Ok(there);
        }
        let uses = self.store.memo.get_all(Table::Uses, &keys)?;
        let mut puts = Vec::new();
        for ((key, manifest, stage), before) in hits.iter().zip(uses) {
            if before.is_none_or(|entry| value::time(&entry) + USE_STEP < now()) {
                puts.push((key.digest(), self.use_of(key)?));
            }
            if self.mode.writes() && self.last(manifest, stage)? != Some(*key) {
                let (history, last) = self.history(key, manifest, stage)?;
                puts.push((key.digest(), (Table::History, history, last)));
            }
        }
        if puts.is_empty() {
            return Ok(there);
        }
        self.store.memo.with(|opened| {
            let mut txn = opened.env.write_txn()?;
            let mut all = there;
            for (key, (table, name, entry)) in &puts {
                // It may have been collected since it was found.
                if opened.get(&txn, Table::Results, key)?.is_some() {
                    opened.put(&mut txn, *table, name, entry)?;
                } else {
                    all = false;
                }
            }
            txn.commit()?;
            Ok(all)
        })
    }

    /// Returns the latest checkpoint of a stage that did not end; `None` where there is none, or a blob of it is gone. Its blobs count
    /// as used now.
    ///
    /// # Errors
    /// [`CacheError::UnsafeTree`] where a name in its tree leads out of a folder; otherwise the database or a blob cannot be read.
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

    /// Stores a stage's latest checkpoint, durably, until its result is recorded.
    ///
    /// # Errors
    /// [`CacheError::ReadOnly`] where the mode says to keep it and the folder cannot be written; otherwise the database cannot be written.
    pub fn keep_partial(&self, key: &Key, partial: &Partial) -> Result<(), CacheError> {
        if !self.keeps()? {
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
                if !self.store.blobs.find(&digest).is_some_and(|stored| Blobs::touch(&stored)) {
                    return Ok(false);
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
