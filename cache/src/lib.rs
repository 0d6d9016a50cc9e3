//! Content-addressed storage of results and replies: what was computed or paid for once is found again by what it was made from.
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
//! Read [`Digest`] and [`Preimage`] for names, [`Cache`] for all that can be done, `blobs` and `memo` for how.
//!
//! A folder that cannot be written is read: its blobs where they are, its database from a private copy.
//!
//! What is absent:
//! - No stage, no manifest, no run: names of them are texts here.
//! - No digest of serialised text: a key is the digest of a walk over values, which no cargo feature and no map order changes.
//! - No blob that was changed: it is written under another name, synced and renamed, and what does not match its digest is not served.
//! - No acknowledged reply that is lost: [`Cache::keep`] returns after a durable commit, which it shares with all that wait.
//! - No lock that outlives its process: the kernel frees them, and a claim counts for as long as its process has its file in `owners/` locked.
//! - No collection of what another process has used since it opened the cache, however long ago that was.
//! - No transaction across an `await`, and none that leaves `memo`.
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
