//! A name and a value in, out what was first written under the name; units in, out the jobs that they were handed over in; and the
//! receipts of what was paid for.

use serde::{Deserialize, Serialize};

use super::Cache;
use crate::{
    digest::Digest,
    error::CacheError,
    folder::now,
    memo::{Table, value},
};

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

    /// Returns the job that each unit was handed over in last.
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

    /// Writes down that units are about to be handed over in a job. Durable when it returns.
    pub fn submit(&self, units: &[Digest], job: &str) -> Result<(), CacheError> {
        if !self.mode.writes() {
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
