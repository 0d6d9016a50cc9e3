//! Training of a decoder. Takes a model, prepared rows and settings; gives the trained model, one observed step after another.
//!
//! ```text
//! run ─→ method (sft, dpo, orpo) ─→ prepared rows ─→ objective ─┐
//!  └──→ trainer: order, schedule ─→ shards ─→ pass ─→ head ─→ optimizer ─→ evaluation
//! ```
//!
//! Read `settings` and `prepared` (what comes in) first, then the drawing from `run` on: `start` opens the model, a method has an `objective`
//! over its rows, `trainer` is the loop, `shards` computes a micro-batch on threads, `pass` and `head` go forward and backward (`recompute` with
//! gradient checkpointing), `gradients` collects, `state` is the checkpoint to resume from, and `watch` is what observers see. `memory` estimates
//! before anything is loaded what a training needs, and what to change if it does not fit. A method or an optimiser is added by a folder or
//! file with all that only it uses and a word in a list: see [`Method`] and [`optimizer`].
//!
//! Numbers and names are those of TRL 1.16. No result depends on the number of cores.

mod check;
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

pub(crate) use check::check;
pub use error::TrainError;
use error::listed;
pub use memory::Memory;
pub(crate) use memory::{Load, Sizes, check_memory, estimate, used};
pub use method::Method;
pub use run::{TrainingRun, run};
pub use schedule::{
    Schedule, Scheduler,
    arguments::{Curve, Mode, SchedulerArguments, ThresholdMode},
};
pub use start::open;
pub(crate) use start::{prepare, prepared_outline};
pub use watch::{Step, Stop, Summary, Trained, Watch, Write};

#[cfg(test)]
mod tests;
