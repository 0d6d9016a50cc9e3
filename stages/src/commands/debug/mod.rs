//! `debug`: runs one part of the program on its own. Takes plain files; gives plain files, to compare with those of other programs.
//!
//! A subcommand calls the functions that the stages call, so that both compute the same. Read `arguments` (what several of them share) first,
//! then any of them: those without a model (`render`, `tokenize`, `assistant_mask`, `schedule`, `nf4`) are the simplest, then `logits`, `score`
//! and `generate`, and `train`. A subcommand is added by one file in this folder and one line in [`Action`].

mod arguments;
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

/// Run one part on its own, to compare its results with those of other programs
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Debug {
    #[command(subcommand)]
    action: Action,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost debug tokenize --tokenizer gemma-2b --input texts.json --out ids.json
  fingerpost debug logits --model gemma-2b --input ids.json --out logits.safetensors

`fingerpost debug COMMAND --help` describes the files of each.";

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
