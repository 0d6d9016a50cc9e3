//! Content-addressed storage. Takes what was computed or paid for, under the digest of what it was made from; gives it back for that
//! digest.
//!
//! ```text
//! DIR/                        its owner's alone; any number of processes on one machine use it at once
//! ├── CACHEDIR.TAG .gitignore backup programs and git pass it by
//! ├── format                  version of all this; another one is refused
//! ├── blobs/ab/cdef…          bytes, named by the BLAKE3 of them; `.zst` where packing helps      blobs
//! ├── memo/                   the database: one LMDB environment                                 memo
//! │   ├── results             key of a stage → its outputs, each the digest of a blob or a tree of blobs
//! │   ├── preimages           key of a stage → what it is the digest of
//! │   ├── uses                key of a stage → when its result was used last
//! │   ├── history             manifest and stage → the key it had last
//! │   ├── partials            key of a stage → its latest checkpoint
//! │   ├── replies             digest of a unit → the reply to it
//! │   ├── claims              digest of a unit → the process that is calling for its reply
//! │   ├── receipts            digest of a receipt → the receipt: what was paid, for which unit
//! │   ├── pins                digest of a name → what was first written under it
//! │   └── submitted           digest of a unit → the batch job that it was submitted in last
//! ├── locks/KEY               locked while the stage of that key runs                            lock
//! ├── owners/HOST-PID-START   locked while that process has the cache open
//! ├── tmp/HOST-PID-START/     its files that are not whole yet
//! └── damaged/                what did not match its digest or checksum
//! ```
//!
//! Read `digest` and `preimage` (how results are named), `output` (what a result consists of), `cache` (all that a caller can do),
//! `store` (what is open in this process), `blobs` (files) and `memo` (the database); then `lock` (locks and owners), `collect` (what
//! is removed) and `verify` (what is damaged).
//!
//! A cache that this process cannot write is opened for reading: its blobs are read in place, its database from a private copy.
//!
//! What is absent:
//! - No stage, manifest or run: this crate takes their names as texts.
//! - No digest of serialised text: a key is the digest of a walk over values, which no cargo feature and no map order changes.
//! - No blob that changes: it is written under a temporary name, synced and renamed. One that does not match its digest is not served.
//! - No acknowledged reply that is lost: [`Cache::keep`] returns after a durable commit, which it shares with all that wait.
//! - No lock that outlives its process: the kernel frees it, and a claim counts only while its process has its file in `owners/` locked.
//! - No removal of what another process has used since it opened the cache, however long ago that was.
//! - No transaction across an `await`, and none that outlives the call that runs it.
//! - No `unsafe` but the one call that opens LMDB.

#![warn(clippy::missing_errors_doc)]

mod blobs;
mod cache;
mod canonical;
mod collect;
mod damage;
mod digest;
mod error;
mod folder;
mod history;
mod lock;
mod memo;
mod mode;
mod mount;
mod output;
mod preimage;
mod regular;
mod store;
mod verify;

pub use blobs::{BlobReader, BlobWriter};
pub use cache::{Cache, Kept};
pub use canonical::NoDigest;
pub use collect::{Collect, Collected, Left};
pub use damage::Damage;
pub use digest::{Digest, Hasher, NotADigest};
pub use error::{Blame, CacheError};
pub use lock::{Owner, StageLock};
pub use memo::claims::Claim;
pub use mode::{Mode, UnknownMode};
pub use output::{Output, Partial, StageResult, Tree, TreeEntry, TreeError};
pub use preimage::{Key, Preimage};
pub use regular::{open_regular, read_regular};
pub use verify::Stats;
