//! A manifest → a run, with everything known already left out.
//!
//! ```text
//! source → manifest → resolve → plan → execute → record
//!  text     stages     pipeline  hit|run   results   runs/<name>/
//! ```
//!
//! Each step is a module with one function and one type that the next step takes; `check` stops after `resolve`, `plan` after
//! `plan`, `run` goes to the end. A **manifest** names **stages**; a stage `uses` a **kind**, takes params under `with:` and is
//! wired by typed **ports** under `in:`. A stage's **key** is the digest of its kept **preimage**: kind, version, versions of
//! the parts that the params name, params with defaults filled in, and the digests of what flows in. A key with a recorded
//! result is a **hit**. Where a rerun gives the same bytes as before, all below is a hit too.
//!
//! Inside a stage, rows are the unit of work: an [`EachRow`] asks for replies to **units**, each kept under its own digest and
//! durable before it counts, so that a changed row buys its own calls and no other.
//!
//! A program is this crate plus a list of kinds: `engine::cli::main(Registry::new().kind::<…>())`. It may bring commands of its
//! own beside those of `cli`: a [`Command`] each.
//!
//! # Invariants
//!
//! - No stage, model, provider or benchmark is named here; there is no HTTP client and no tensor library.
//! - No clock, path, secret, thread count, stage name or serialised text is part of a key.
//! - No stage can reach the store: it holds artifacts, and its context keeps the rest private.
//! - No reply counts before it is durable; no transient failure is ever kept.
//! - No manifest mistake hides another one; nothing runs before all are gone.
//! - Nothing outside `cli` prints.

mod budget;
mod canonical;
pub mod cli;
mod contract;
mod diagnostic;
mod environment;
mod event;
mod execute;
mod flights;
mod manifest;
mod plan;
mod record;
mod resolve;
mod rows;
mod schema;
mod source;
mod store;
mod text;
mod typed;
mod visible;

pub use crate::budget::{Price, Receipt};
pub use crate::contract::ahead::Ahead;
pub use crate::contract::artifact::{Anything, Artifact, Checkpoint, Dataset, DatasetWriter, Metrics, Row, Type};
pub use crate::contract::attempt::Attempt;
pub use crate::contract::command::{Command, CommandError};
pub use crate::contract::context::{Context, Services};
pub use crate::contract::each::{Each, EachRow, ROWS_IN_FLIGHT, Reply};
pub use crate::contract::effect::{Ask, Bought, Effect, unit_digest};
pub use crate::contract::error::{Blame, StageError, without_place};
pub use crate::contract::file::File;
pub use crate::contract::folder::Folder;
pub use crate::contract::forecast::Forecast;
pub use crate::contract::import::Answers;
pub use crate::contract::mistake::ParamMistake;
pub use crate::contract::ports::{Port, PortField, Ports};
pub use crate::contract::registry::{Registry, Template};
pub use crate::contract::section::{Section, Sections};
pub use crate::contract::stage::Stage;
pub use crate::store::Store;
pub use cache::Output;

/// The digest of a text as lower-case hex: for splits and samples that must not hang on order.
pub fn fingerprint(text: &str) -> String {
    cache::Digest::of(text.as_bytes()).to_string()
}
