//! `debug logits`: a model folder and rows of token ids → the logits of every token.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use engine::{CommandError, StageError};
use serde::Deserialize;

use crate::{
    commands::files::{read_json, write},
    models::{Batch, DeviceName, DynamicRope, InputError, Model, tensors_to_bytes},
};

/// Compute the logits of rows of tokens
#[derive(Args)]
pub(super) struct Logits {
    /// Folder with `config.json` and weights
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// PEFT folder whose adapter is put on
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,
    /// JSON: `cases`, each with `name`, `input_ids`, and what may go with them
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Where the model is computed
    #[arg(long, value_name = "auto|cpu|cuda|cuda:N", default_value_t)]
    device: DeviceName,
    /// Where the logits are written, a tensor for each case (safetensors)
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Deserialize)]
struct Input {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    input_ids: Vec<Vec<u32>>,
    attention_mask: Option<Vec<Vec<u32>>>,
    position_ids: Option<Vec<Vec<usize>>>,
    /// Columns whose logits are wanted; all without it.
    logit_positions: Option<Vec<usize>>,
    /// Documents packed into each row.
    sequence_lengths: Option<Vec<Vec<usize>>>,
}

impl Case {
    fn batch(&self) -> Result<Batch, InputError> {
        let mut batch = Batch::plain(&self.input_ids)?;
        if let Some(lengths) = &self.sequence_lengths {
            batch = batch.packed(lengths)?;
        }
        if let Some(mask) = &self.attention_mask {
            batch = batch.with_padding(mask)?;
        }
        if let Some(positions) = &self.position_ids {
            batch = batch.at_positions(positions)?;
        }
        Ok(batch)
    }

    /// Returns the wanted places of all rows, and how many they are in a row.
    fn places(&self, batch: &Batch) -> Result<(Vec<usize>, usize), InputError> {
        let columns = self.logit_positions.clone().unwrap_or_else(|| (0..batch.width).collect());
        if let Some(&position) = columns.iter().find(|column| **column >= batch.width) {
            return Err(InputError::Position { position, width: batch.width });
        }
        let places = (0..batch.rows).flat_map(|row| columns.iter().map(move |column| row * batch.width + column));
        Ok((places.collect(), columns.len()))
    }
}

impl Logits {
    pub(super) fn run(&self) -> Result<(), CommandError> {
        let input: Input = read_json(&self.input)?;
        let device = self.device.open().map_err(StageError::from)?;
        let mut model = Model::load(&self.model).map_err(StageError::failed)?;
        if let Some(folder) = &self.adapter {
            model.load_adapter(folder).map_err(StageError::failed)?;
        }
        let model = model.on(&device);
        let mut reader = DynamicRope::new(&model);
        let mut tensors = BTreeMap::new();
        for case in &input.cases {
            let wrong =
                |error: InputError| CommandError::usage(format!("`{}`: case `{}`: {error}", self.input.display(), case.name));
            let batch = case.batch().map_err(wrong)?;
            let (places, columns) = case.places(&batch).map_err(wrong)?;
            let logits = reader.logits_at(&batch, &places).map_err(wrong)?;
            let values = logits.into_data().try_into_vec::<f32>().expect("logits are f32");
            tensors.insert(case.name.clone(), (vec![batch.rows, columns, model.vocab_size()], values));
        }
        write(&self.out, &tensors_to_bytes(&tensors))
    }
}
