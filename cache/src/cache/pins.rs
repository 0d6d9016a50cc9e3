//! A name and a value in, out what was first written under the name; and the receipts of what was paid for.

use serde::{Deserialize, Serialize};

use super::Cache;
use crate::digest::Digest;
use crate::error::CacheError;
use crate::folder::now;
use crate::memo::{Table, value};

/// A receipt as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// When it was kept, in seconds since 1970.
    pub time: u64,
    /// What was handed to [`Cache::keep`].
    pub receipt: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Pin {
    name: String,
    value: String,
}

/// What stays true across runs beside results and replies.
impl Cache {
    /// Returns what was first written under a name, which is `value` where nothing was. Durable when it returns.
    pub fn pin(&self, name: &str, value: &str) -> Result<String, CacheError> {
        let key = Digest::of(name.as_bytes());
        if let Some(pinned) = self.pinned(name)? {
            return Ok(pinned);
        }
        if self.mode.writes() {
            let pin = Pin { name: name.to_owned(), value: value.to_owned() };
            let entry = self.entry(Table::Pins, key, &pin)?;
            self.store.memo.change_absent(&entry)?;
        }
        Ok(self.pinned(name)?.unwrap_or_else(|| value.to_owned()))
    }

    /// Returns what is written under a name.
    pub fn pinned(&self, name: &str) -> Result<Option<String>, CacheError> {
        if !self.mode.reads() {
            return Ok(None);
        }
        Ok(self.get::<Pin>(Table::Pins, &Digest::of(name.as_bytes()))?.map(|pin| pin.value))
    }

    /// Takes a pin out; whether there was one.
    pub fn unpin(&self, name: &str) -> Result<bool, CacheError> {
        let was = self.pinned(name)?.is_some();
        self.store.memo.change(&[], &[(Table::Pins, Digest::of(name.as_bytes()))])?;
        Ok(was)
    }

    /// Returns all receipts, in the order in which they were kept.
    pub fn receipts(&self) -> Result<Vec<Kept>, CacheError> {
        let entries = self.store.memo.all(Table::Receipts, |name, entry| Some((name, entry.to_vec())))?;
        let mut receipts = Vec::with_capacity(entries.len());
        for (name, entry) in entries {
            if let Some(receipt) = value::decode(Table::Receipts, &name, &entry, &self.store.blobs)? {
                receipts.push(Kept { time: value::time(&entry), receipt });
            }
        }
        receipts.sort_by(|one, other| (one.time, &one.receipt).cmp(&(other.time, &other.receipt)));
        Ok(receipts)
    }

    pub(super) fn receipt_entry(&self, receipt: &[u8]) -> Result<(Digest, Vec<u8>), CacheError> {
        let name = Digest::of(receipt);
        Ok((name, value::encode(Table::Receipts, &name, receipt, now(), &self.store.blobs)?))
    }
}
