//! A workflow engine. Takes a YAML manifest; gives the results of its stages, and skips every stage whose result is already cached.
//!
//! ```text
//! source → manifest → resolve → plan → execute → record
//!  text     stages     pipeline  hit|run   results   runs/<name>/
//! ```
//!
//! Each step is a module that has the function and the type that the next step takes. The command `check` stops after `resolve`,
//! `plan` after `plan`, and `run` goes to the end. `execute` takes the plan, and decides the stages that depend on results which
//! did not exist yet. A **manifest** names **stages**; a stage `uses` a **kind**, takes params under `with:` and is wired by typed
//! **ports** under `in:`. A stage's **key** is the digest of its **preimage**: kind, version, versions of the parts that the params
//! name, params with defaults filled in, and the digests of its inputs. If the cache has a result for that key, the stage is a
//! **hit** and does not run. Where a stage that ran gives the same bytes as before, the stages that take them are hits too.
//!
//! A stage may work row by row: an [`EachRow`] asks for replies to **units**. Each reply is kept under the digest of its unit and is
//! durable before it counts, so that a changed row pays for its own calls and for no other.
//!
//! Read `contract` first (what an author of stages writes), then the steps in the order above, `rows` (how a stage works row by row)
//! and `cli` (a file for each command). A program is this crate and a list of kinds:
//! `engine::cli::main(Registry::new().kind::<…>())`. It may bring commands of its own, each a [`Command`].
//!
//! # Invariants
//!
//! - No stage, model, provider or benchmark is named here; there is no HTTP client and no tensor library.
//! - No clock, path, secret, thread count, stage name or serialised text is part of a key.
//! - No stage can reach the store: it has artifacts, and its context keeps the rest private.
//! - No reply counts before it is durable; no transient failure is ever kept.
//! - No mistake in a manifest hides another one; nothing runs before all are fixed.
//! - No text from outside reaches a terminal with control characters in it.
//! - Nothing outside `cli` prints, and no module imports one that imports it.

mod budget;
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
mod source;
mod store;
mod text;
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
pub use crate::contract::format::{ExportFormat, ExportedFile, RowsByType};
pub use crate::contract::import::{Adopted, Answers};
pub use crate::contract::kind::Kind;
pub use crate::contract::mistake::ParamMistake;
pub use crate::contract::ports::{Port, PortField, Ports};
pub use crate::contract::preflight::{Lack, Surroundings};
pub use crate::contract::purchase::{Held, Paid, Purchase};
pub use crate::contract::registry::{Part, Registry, Template};
pub use crate::contract::section::{Section, Sections};
pub use crate::contract::stage::Stage;
pub use crate::store::Store;
pub use cache::Output;

/// Returns the digest of a text as lower-case hex, for splits and samples that must not depend on order.
pub fn fingerprint(text: &str) -> String {
    cache::Digest::of(text.as_bytes()).to_string()
}
