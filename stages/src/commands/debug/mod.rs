//! `debug`: one part of the program on its own, plain files in and out, so that its results can be held against those of others.
//!
//! A sub-command is one file in `debug/` and one line in [`Action`]. What they compute is what the stages compute: the same functions.

mod assistant_mask;
mod generate;
mod logits;
mod nf4;
mod render;
mod schedule;
mod score;
mod tokenize;
mod train;

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
    Tokenize(tokenize::Tokenize),
    Render(render::Render),
    AssistantMask(assistant_mask::AssistantMask),
    Schedule(schedule::Schedule),
    Logits(logits::Logits),
    Generate(generate::Generate),
    Nf4(nf4::Nf4),
    Score(score::Score),
    Train(train::Train),
}

impl engine::Command for Debug {
    const NAME: &'static str = "debug";
    const HIDDEN: bool = true;

    fn run(&self) -> Result<String, CommandError> {
        match &self.action {
            Action::Tokenize(command) => command.run()?,
            Action::Render(command) => command.run()?,
            Action::AssistantMask(command) => command.run()?,
            Action::Schedule(command) => command.run()?,
            Action::Logits(command) => command.run()?,
            Action::Generate(command) => command.run()?,
            Action::Nf4(command) => command.run()?,
            Action::Score(command) => command.run()?,
            Action::Train(command) => command.run()?,
        }
        Ok(String::new())
    }
}
