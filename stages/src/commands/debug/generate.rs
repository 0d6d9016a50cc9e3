//! `debug generate`: a model folder and prompts → what the model goes on with, greedily and to a fixed length.

use std::path::PathBuf;

use clap::Args;
use engine::{CommandError, StageError};
use serde::{Deserialize, Serialize};

use crate::{
    commands::files::{read_json, write_json},
    models::{DeviceName, Model, generate},
};

/// Let a model go on with prompts, the likeliest token each time
#[derive(Args)]
pub(super) struct Generate {
    /// Folder with `config.json` and weights
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// PEFT folder whose adapter is put on
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,
    /// JSON: `prompts` (token ids) and `max_new_tokens`
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Where the model is computed
    #[arg(long, value_name = "auto|cpu|cuda|cuda:N", default_value_t)]
    device: DeviceName,
    /// Where `generated` is written, a list of token ids for each prompt
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

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
        let input: Input = read_json(&self.input)?;
        let device = self.device.open().map_err(StageError::from)?;
        let mut model = Model::load(&self.model).map_err(StageError::failed)?;
        if let Some(folder) = &self.adapter {
            model.load_adapter(folder).map_err(StageError::failed)?;
        }
        let model = model.on(&device);
        let generated = generate(&model, &input.prompts, input.max_new_tokens, &[])
            .map_err(|error| CommandError::usage(format!("`{}`: {error}", self.input.display())))?;
        write_json(&self.out, &Output { generated })
    }
}
