//! `debug`: one part of the program on its own, plain files in and out, so that its results can be held against those of others.
//!
//! A sub-command is one file in `debug/` and one line in [`Action`]. What they compute is what the stages compute: the same functions.

mod schedule;

use clap::{Args, Subcommand};
use engine::CommandError;

/// Run one part on its own, for comparisons with other programs
#[derive(Args)]
pub(crate) struct Debug {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Schedule(schedule::Schedule),
}

impl engine::Command for Debug {
    const NAME: &'static str = "debug";
    const HIDDEN: bool = true;

    fn run(&self) -> Result<String, CommandError> {
        match &self.action {
            Action::Schedule(command) => command.run()?,
        }
        Ok(String::new())
    }
}
