//! `model`: work on a model's folder outside a pipeline. Takes a folder of Hugging Face files; gives another.
//!
//! Its only subcommand is in `merge`, which merges an adapter into its base. A subcommand is added by one file and one line in `Action`.

mod merge;

use clap::{Args, Subcommand};
use engine::CommandError;

/// Work on a model's folder
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Model {
    #[command(subcommand)]
    action: Action,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost model merge --model gemma-2b --adapter router/checkpoint --out merged

`fingerpost model merge --help` explains the folders.";

#[derive(Subcommand)]
enum Action {
    Merge(merge::Merge),
}

impl engine::Command for Model {
    const NAME: &'static str = "model";

    fn run(&self) -> Result<String, CommandError> {
        match &self.action {
            Action::Merge(command) => command.run(),
        }
    }
}
