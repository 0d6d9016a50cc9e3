//! Training of a decoder: a model, prepared rows and settings in; the trained model out, one observed step after another.
//!
//! ```text
//! start ──────────────────────────────┐
//! prepared → sft, dpo (an objective) → trainer → evaluation → best
//!                order, schedule ─────┘   └ shards → pass → predictions, head → optimizer
//! ```
//!
//! Before anything is loaded `memory` says what all this takes, and what to change where it is not there. `watch` is what is seen meanwhile.
//!
//! As TRL 1.16 does it, under its names. No result hangs on the number of cores.

pub mod dpo;
mod error;
mod evaluation;
mod gradients;
mod head;
mod memory;
mod method;
mod objective;
pub mod optimizer;
mod order;
pub mod orpo;
mod pass;
pub mod prepared;
mod recompute;
mod run;
mod schedule;
pub mod settings;
pub mod sft;
mod shards;
mod start;
mod state;
mod trainer;
mod watch;

pub use error::TrainError;
use error::listed;
pub use memory::Memory;
pub(crate) use memory::{Load, Sizes, admit, estimate, used};
pub use method::Method;
pub use run::{TrainingRun, run};
pub use schedule::{
    Schedule, Scheduler,
    arguments::{Curve, Mode, SchedulerArguments, ThresholdMode},
};
pub use start::open;
pub(crate) use start::{foretold, prepare};
pub use watch::{Step, Stop, Summary, Trained, Watch, Write};

#[cfg(test)]
mod tests;
