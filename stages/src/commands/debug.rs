//! `debug`: one part of the program on its own, plain files in and out, so that its results can be held against those of others.
//!
//! A sub-command is one file in `debug/` and one line in [`Action`]. What they compute is what the stages compute: the same functions.

mod generate;
mod logits;
mod nf4;
mod schedule;
mod score;

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
    Generate(generate::Generate),
    Logits(logits::Logits),
    Nf4(nf4::Nf4),
    Schedule(schedule::Schedule),
    Score(score::Score),
}

impl engine::Command for Debug {
    const NAME: &'static str = "debug";
    const HIDDEN: bool = true;

    fn run(&self) -> Result<String, CommandError> {
        match &self.action {
            Action::Generate(command) => command.run()?,
            Action::Logits(command) => command.run()?,
            Action::Nf4(command) => command.run()?,
            Action::Schedule(command) => command.run()?,
            Action::Score(command) => command.run()?,
        }
        Ok(String::new())
    }
}
