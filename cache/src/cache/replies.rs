//! Replies to units. Takes units; gives their replies or claims on them, and keeps new replies, as far as the mode allows.

use std::{sync::Arc, time::Duration};

use super::Cache;
use crate::{
    digest::Digest,
    error::CacheError,
    folder::now,
    memo::{
        Table,
        claims::{self, Claim},
        value,
    },
    mode::Mode,
};

/// How long a waiter sleeps before it looks again, at first and at most.
const SHORT_SLEEP: Duration = Duration::from_millis(5);
const LONG_SLEEP: Duration = Duration::from_millis(100);

/// Replies to units: used and kept as the mode says.
impl Cache {
    /// Returns the reply to a unit.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn reply(&self, unit: &Digest) -> Result<Option<Vec<u8>>, CacheError> {
        Ok(self.replies(std::slice::from_ref(unit))?.pop().flatten())
    }

    /// Returns the replies to units, in the order of the units, read in one transaction.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn replies(&self, units: &[Digest]) -> Result<Vec<Option<Vec<u8>>>, CacheError> {
        if !self.mode.reads() {
            return Ok(vec![None; units.len()]);
        }
        let entries = self.store.memo.get_all(Table::Replies, units)?;
        let decode = |(unit, entry): (&Digest, Option<Vec<u8>>)| match entry {
            Some(entry) => value::decode(Table::Replies, unit, &entry, &self.store.blobs),
            None => Ok(None),
        };
        units.iter().zip(entries).map(decode).collect()
    }

    /// Returns all replies with their units, in the order of the units' digests.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn all_replies(&self) -> Result<Vec<(Digest, Vec<u8>)>, CacheError> {
        let mut replies = Vec::new();
        for (unit, entry) in self.store.memo.all(Table::Replies, |unit, entry| Some((unit, entry.to_vec())))? {
            replies.extend(value::decode(Table::Replies, &unit, &entry, &self.store.blobs)?.map(|reply| (unit, reply)));
        }
        Ok(replies)
    }

    /// Imports replies in one durable transaction, except those to units that have one already. Returns how many it stored.
    ///
    /// # Errors
    /// [`CacheError::ReadOnly`] where the folder cannot be written; otherwise the database cannot be read or written.
    pub fn adopt(&self, replies: Vec<(Digest, Vec<u8>)>) -> Result<usize, CacheError> {
        self.store.check_writable()?;
        let units: Vec<_> = replies.iter().map(|(unit, _)| *unit).collect();
        let known = self.store.memo.get_all(Table::Replies, &units)?;
        let mut puts = Vec::new();
        for ((unit, reply), known) in replies.into_iter().zip(known) {
            if known.is_none() {
                puts.push((Table::Replies, unit, value::encode(Table::Replies, &unit, &reply, now(), &self.store.blobs)?));
            }
        }
        self.store.memo.change(&puts, &[])?;
        Ok(puts.len())
    }

    /// Claims units. Each has a reply, is this process's to call for, or is claimed by another process, whose claim ends when it dies.
    ///
    /// A unit that this process claimed before is `Ours` again: which of its threads calls is the caller's decision.
    ///
    /// # Errors
    /// The database cannot be read or written; [`CacheError::Closed`] where the thread that writes to it is gone.
    pub async fn claim(&self, units: Vec<Digest>) -> Result<Vec<Claim>, CacheError> {
        if self.mode == Mode::ReadWrite && self.store.is_writable() {
            return self.store.writer.claim(units).await;
        }
        let replies = self.replies(&units)?;
        Ok(replies.into_iter().map(|reply| reply.map_or(Claim::Ours, Claim::Known)).collect())
    }

    /// Waits while another process has claimed a unit. Returns `Known` when its reply came, `Ours` when it was released or its process
    /// died.
    ///
    /// # Errors
    /// As [`Cache::claim`].
    pub async fn wait(&self, unit: Digest) -> Result<Claim, CacheError> {
        let mut sleep = SHORT_SLEEP;
        loop {
            // Looking is cheap and claiming takes the write lock of all processes, so look first.
            if let Some(reply) = self.reply(&unit)? {
                return Ok(Claim::Known(reply));
            }
            let holder = self.store.memo.with(|opened| Ok(claims::holder(opened, &*opened.env.read_txn()?, &unit)?))?;
            if !holder.is_some_and(|owner| owner.is_alive(&self.store.blobs.folder)) {
                match self.claim(vec![unit]).await?.pop() {
                    Some(Claim::Theirs(_)) | None => {}
                    Some(claim) => return Ok(claim),
                }
            }
            tokio::time::sleep(sleep).await;
            sleep = (sleep * 2).min(LONG_SLEEP);
        }
    }

    /// Stores the reply to a unit, with the receipt for it where it was paid for, and ends the claim on it. When this returns, both
    /// survive whatever happens to the process.
    ///
    /// # Errors
    /// [`CacheError::ReadOnly`] where the mode says to keep it and the folder cannot be written; otherwise as [`Cache::claim`].
    pub async fn keep(&self, unit: Digest, reply: Vec<u8>, receipt: Option<Vec<u8>>) -> Result<(), CacheError> {
        if !self.keeps()? {
            return Ok(());
        }
        let receipt = receipt.map(|receipt| self.receipt_entry(&receipt)).transpose()?;
        let entry = if value::may_be_large(&reply) {
            // A large reply may be written to a file, which takes too long for a thread that others wait for.
            let blobs = Arc::clone(&self.store.blobs);
            let encode = move || value::encode(Table::Replies, &unit, &reply, now(), &blobs);
            tokio::task::spawn_blocking(encode).await.map_err(|_| CacheError::Closed)??
        } else {
            value::encode(Table::Replies, &unit, &reply, now(), &self.store.blobs)?
        };
        self.store.writer.keep(unit, entry, receipt).await
    }

    /// Releases units that were claimed and have no reply, because their call failed.
    ///
    /// # Errors
    /// As [`Cache::claim`].
    pub async fn release(&self, units: Vec<Digest>) -> Result<(), CacheError> {
        if self.mode != Mode::ReadWrite || !self.store.is_writable() {
            return Ok(());
        }
        self.store.writer.release(units).await.map_err(|_| CacheError::Closed)?.map(|_| ())
    }
}
