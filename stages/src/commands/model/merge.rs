//! `model merge`. Takes a model and a PEFT adapter; gives a plain model folder whose weights have the adapter in them.

use std::{fs, path::PathBuf};

use clap::Args;
use engine::{CommandError, StageError};

/// Merge an adapter into its base model
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Merge {
    /// Folder with `config.json` and weights; preferably unquantised, even if training quantised them
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// PEFT folder
    #[arg(long, value_name = "DIR")]
    adapter: PathBuf,
    /// The new folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost model merge --model gemma-2b --adapter router/checkpoint --out merged

`fingerpost export MANIFEST STAGE.checkpoint DIR` writes the adapter that a stage trained.";

/// The tokenizer's files, which are copied too. The adapter's are preferred to the model's, since it may have been trained with others.
const ALONG: [&str; 10] = [
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
];

impl Merge {
    pub(super) fn run(&self) -> Result<String, CommandError> {
        let mut model = crate::models::Model::load(&self.model).map_err(StageError::failed)?;
        model.load_adapter(&self.adapter).map_err(StageError::failed)?;
        let unwritten = |error| StageError::environment(format!("`{}` cannot be written: {error}", self.out.display()));
        if fs::read_dir(&self.out).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(CommandError::usage(format!("`{}` is not empty", self.out.display())));
        }
        fs::create_dir_all(&self.out).map_err(unwritten)?;
        model.merged().save(&self.out).map_err(StageError::from)?;
        for name in ALONG {
            if let Some(file) =
                [&self.adapter, &self.model].into_iter().map(|folder| folder.join(name)).find(|file| file.exists())
            {
                fs::copy(file, self.out.join(name)).map_err(unwritten)?;
            }
        }
        Ok(String::new())
    }
}
