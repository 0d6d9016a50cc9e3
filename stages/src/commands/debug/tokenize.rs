//! `debug tokenize`. Takes texts; gives their token ids, and the texts that these decode to.

use std::path::PathBuf;

use clap::Args;
use engine::CommandError;
use serde::{Deserialize, Serialize};

use super::arguments::Files;
use crate::{
    commands::files::{read_json, write_json},
    tokenizer::{Tokenizer, TokenizerError},
};

/// Turn texts into token ids and back
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Tokenize {
    /// The tokenizer's folder, or a `tokenizer.json`
    #[arg(long, value_name = "DIR")]
    tokenizer: PathBuf,
    #[command(flatten)]
    files: Files,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost debug tokenize --tokenizer gemma-2b --input texts.json --out ids.json

Input (JSON): `cases`, each with `text`.
Output (JSON): `cases` with `ids`, `ids_no_special`, `decoded` and `decoded_skip_special`.
`fingerpost debug render --help` is about conversations.";

#[derive(Deserialize)]
struct Input {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
}

#[derive(Serialize)]
struct Output {
    cases: Vec<Tokens>,
}

#[derive(Serialize)]
struct Tokens {
    /// Token ids with the special tokens around the text.
    ids: Vec<u32>,
    ids_no_special: Vec<u32>,
    /// The text of `ids_no_special`.
    decoded: String,
    /// The text of `ids` without special tokens.
    decoded_skip_special: String,
}

impl Tokenize {
    pub(super) fn run(&self) -> Result<(), CommandError> {
        let tokenizer = Tokenizer::open(&self.tokenizer).map_err(CommandError::usage)?;
        let input: Input = read_json(&self.files.input)?;
        let cases = input.cases.iter().map(|case| tokens(&tokenizer, &case.text)).collect::<Result<_, _>>();
        write_json(&self.files.out, &Output { cases: cases.map_err(CommandError::usage)? })
    }
}

fn tokens(tokenizer: &Tokenizer, text: &str) -> Result<Tokens, TokenizerError> {
    let (ids, ids_no_special) = (tokenizer.encode_with_special(text)?, tokenizer.encode(text)?);
    let decoded = tokenizer.decode_with_special(&ids_no_special)?;
    let decoded_skip_special = tokenizer.decode(&ids)?;
    Ok(Tokens { ids, ids_no_special, decoded, decoded_skip_special })
}
