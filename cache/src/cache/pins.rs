//! Pins, batch jobs and receipts. Takes a name, units or nothing; gives what was first written under the name, the batch jobs that the
//! units were last submitted in, or all receipts of what was paid for.

use serde::{Deserialize, Serialize};

use super::Cache;
use crate::{
    digest::Digest,
    error::CacheError,
    folder::now,
    memo::{Table, value},
};

/// A receipt and when it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// When it was stored, in seconds since 1970.
    pub time: u64,
    /// The receipt as [`Cache::keep`] took it.
    pub receipt: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Pin {
    name: String,
    value: String,
}

/// Pins, batch jobs and receipts: what outlives a run beside results and replies.
impl Cache {
    /// Returns the value first written under a name, and writes `value` where there is none. The value is durable when this returns, if
    /// the mode says to keep it and the folder can be written.
    ///
    /// # Errors
    /// The database cannot be read or written.
    pub fn pin(&self, name: &str, value: &str) -> Result<String, CacheError> {
        let key = Digest::of(name.as_bytes());
        if let Some(pinned) = self.pinned(name)? {
            return Ok(pinned);
        }
        if self.mode.writes() && self.store.is_writable() {
            let pin = Pin { name: name.to_owned(), value: value.to_owned() };
            let entry = self.entry(Table::Pins, key, &pin)?;
            self.store.memo.change_absent(&entry)?;
        }
        Ok(self.pinned(name)?.unwrap_or_else(|| value.to_owned()))
    }

    /// Returns the value written under a name.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn pinned(&self, name: &str) -> Result<Option<String>, CacheError> {
        if !self.mode.reads() {
            return Ok(None);
        }
        Ok(self.get::<Pin>(Table::Pins, &Digest::of(name.as_bytes()))?.map(|pin| pin.value))
    }

    /// Removes the value written under a name, and returns whether there was one.
    ///
    /// # Errors
    /// [`CacheError::ReadOnly`] where the folder cannot be written; otherwise the database cannot be read or written.
    pub fn unpin(&self, name: &str) -> Result<bool, CacheError> {
        self.store.check_writable()?;
        let was = self.pinned(name)?.is_some();
        self.store.memo.change(&[], &[(Table::Pins, Digest::of(name.as_bytes()))])?;
        Ok(was)
    }

    /// Returns for each unit the batch job that it was submitted in last.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn submitted(&self, units: &[Digest]) -> Result<Vec<Option<String>>, CacheError> {
        if !self.mode.reads() {
            return Ok(vec![None; units.len()]);
        }
        let entries = self.store.memo.get_all(Table::Submitted, units)?;
        let decode = |(unit, entry): (&Digest, Option<Vec<u8>>)| match entry {
            Some(entry) => value::decode(Table::Submitted, unit, &entry, &self.store.blobs),
            None => Ok(None),
        };
        let jobs = units.iter().zip(entries).map(decode);
        jobs.map(|job| Ok(job?.and_then(|job| String::from_utf8(job).ok()))).collect()
    }

    /// Records that units are about to be submitted in a batch job. The record is durable when this returns.
    ///
    /// # Errors
    /// [`CacheError::ReadOnly`] where the mode says to keep it and the folder cannot be written; otherwise the database cannot be written.
    pub fn submit(&self, units: &[Digest], job: &str) -> Result<(), CacheError> {
        if !self.keeps()? {
            return Ok(());
        }
        let time = now();
        let entry = |unit: &Digest| {
            let entry = value::encode(Table::Submitted, unit, job.as_bytes(), time, &self.store.blobs)?;
            Ok((Table::Submitted, *unit, entry))
        };
        let puts = units.iter().map(entry).collect::<Result<Vec<_>, CacheError>>()?;
        self.store.memo.change(&puts, &[])
    }

    /// Returns all receipts, in the order in which they were stored.
    ///
    /// # Errors
    /// The database cannot be read.
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

    /// Stores a receipt without a reply: for a call that may have been paid for and gave nothing to keep. When this returns, it survives
    /// whatever happens to the process.
    ///
    /// # Errors
    /// As [`Cache::keep`].
    pub async fn note(&self, receipt: &[u8]) -> Result<(), CacheError> {
        if !self.keeps()? {
            return Ok(());
        }
        let (name, entry) = self.receipt_entry(receipt)?;
        self.store.writer.note(name, entry).await
    }

    pub(super) fn receipt_entry(&self, receipt: &[u8]) -> Result<(Digest, Vec<u8>), CacheError> {
        let name = Digest::of(receipt);
        Ok((name, value::encode(Table::Receipts, &name, receipt, now(), &self.store.blobs)?))
    }
}
