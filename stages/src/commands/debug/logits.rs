//! `debug logits`. Takes a model folder and rows of token ids; gives the logits of every token.

use std::collections::BTreeMap;

use clap::Args;
use engine::CommandError;
use serde::Deserialize;

use super::arguments::{Files, ModelArguments};
use crate::{
    commands::files::{read_json, write},
    models::{Batch, DynamicRope, InputError, tensors_to_bytes},
};

/// Compute the logits of rows of tokens
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Logits {
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    files: Files,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost debug logits --model gemma-2b --input ids.json --out logits.safetensors
  fingerpost debug logits --model gemma-2b --adapter router/checkpoint --input ids.json --out logits.safetensors

Input (JSON): `cases`, each with `name` and `input_ids` (rows of one length), and `attention_mask`, `position_ids`, `logit_positions` (the
columns whose logits are wanted) or `sequence_lengths` (of documents packed into each row) where needed.
Output (safetensors): a tensor `[rows, columns, vocabulary]` under each case's name.
`fingerpost debug tokenize --help` turns texts into token ids.";

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
    /// The columns whose logits are wanted [default: all].
    logit_positions: Option<Vec<usize>>,
    /// The lengths of the documents that are packed into each row.
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

    /// Returns the wanted places of all rows, and their number in a row.
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
        let input: Input = read_json(&self.files.input)?;
        let model = self.model.load()?;
        let mut reader = DynamicRope::new(&model);
        let mut tensors = BTreeMap::new();
        for case in &input.cases {
            let wrong = |error: InputError| {
                CommandError::usage(format!("`{}`: case `{}`: {error}", self.files.input.display(), case.name))
            };
            let batch = case.batch().map_err(wrong)?;
            let (places, columns) = case.places(&batch).map_err(wrong)?;
            let logits = reader.logits_at(&batch, &places).map_err(wrong)?;
            let values = logits.into_data().try_into_vec::<f32>().expect("logits are f32");
            tensors.insert(case.name.clone(), (vec![batch.rows, columns, model.vocab_size()], values));
        }
        write(&self.files.out, &tensors_to_bytes(&tensors))
    }
}
