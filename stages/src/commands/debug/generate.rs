//! `debug generate`. Takes a model folder and prompts; gives a greedy continuation of each, of a fixed length.

use clap::Args;
use engine::CommandError;
use serde::{Deserialize, Serialize};

use super::arguments::{Files, ModelArguments};
use crate::{
    commands::files::{read_json, write_json},
    models::generate,
};

/// Continue prompts with the likeliest token each time
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Generate {
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    files: Files,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost debug generate --model gemma-2b --input prompts.json --out generated.json

Input (JSON): `prompts`, a list of token ids each, and `max_new_tokens`.
Output (JSON): `generated`, a list of token ids for each prompt. No end-of-text token stops it early.
`fingerpost debug tokenize --help` turns texts into token ids.";

#[derive(Deserialize)]
struct Input {
    prompts: Vec<Vec<u32>>,
    max_new_tokens: usize,
}

#[derive(Serialize)]
struct Output {
    generated: Vec<Vec<u32>>,
}

impl Generate {
    pub(super) fn run(&self) -> Result<(), CommandError> {
        let input: Input = read_json(&self.files.input)?;
        let model = self.model.load()?;
        let generated = generate(&model, &input.prompts, input.max_new_tokens, &[])
            .map_err(|error| CommandError::usage(format!("`{}`: {error}", self.files.input.display())))?;
        write_json(&self.files.out, &Output { generated })
    }
}
