//! Supervised fine-tuning, as in TRL. Takes conversations or texts; gives rows of ids with labels, and the negative log-likelihood of the labels.
//!
//! This file has the settings and the method. Read `prepare` (rows of ids and labels) next, then `packing` (several rows in one) and `labelled`
//! (the objective).

mod labelled;
mod packing;
mod prepare;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    TrainError,
    method::Method,
    objective::Objective,
    prepared::{Columns, PrepareError, Prepared},
    settings::Training,
};
use crate::{part::settings, tokenizer::Tokenizer};
pub(super) use labelled::Labelled;

settings! {
    /// Settings of supervised fine-tuning.
    pub struct Sft {
        /// Whether only completions are learned [default: if rows have a prompt and a completion].
        completion_only_loss: Option<bool> = None,
        /// Whether only the assistant's tokens are learned, as marked by the template's `{% generation %}` blocks.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        assistant_only_loss: bool = false,
        /// How rows are packed into rows of `max_length` tokens.
        packing | packing_strategy: Option<Packing> = None,
        /// The loss.
        loss_type: SftLoss = SftLoss::Nll,
    }
}

/// How rows are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Packing {
    /// Whole rows, longest first, each where the least room is left; longer ones are cut.
    Bfd,
    /// The same, with what is cut as further rows.
    BfdSplit,
    /// One stream of tokens, cut into equal rows.
    Wrapped,
}

/// Losses of supervised fine-tuning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SftLoss {
    /// The negative log-likelihood.
    #[default]
    Nll,
    /// The same, each token weighted by its probability.
    Dft,
}

/// Label of a token that is not learned.
pub const IGNORED: i64 = -100;

/// A row for supervised fine-tuning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SftRow {
    /// Token ids.
    pub input_ids: Vec<u32>,
    /// For each token its id if it is learned, that is, predicted from the tokens before it; else [`IGNORED`].
    pub labels: Vec<i64>,
    /// Lengths of the documents of a packed row: positions restart in each, and none attends to another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq_lengths: Option<Vec<usize>>,
}

impl Method for Sft {
    const NAME: &'static str = "sft";
    const SEQUENCES: u64 = 1;
    const DROPOUT: bool = true;
    type Row = SftRow;

    fn prepare(
        &self,
        tokenizer: &Tokenizer,
        rows: &[Columns],
        max_length: Option<usize>,
    ) -> Result<Prepared<SftRow>, PrepareError> {
        prepare::prepare(tokenizer, rows, self, max_length)
    }

    fn size(row: &SftRow, _: Option<usize>) -> [usize; 2] {
        [row.input_ids.len(), row.labels.iter().filter(|&&label| label != IGNORED).count()]
    }

    fn objective<'a>(
        &'a self,
        _: &'a Training,
        rows: &'a mut [SftRow],
        _: &[String],
    ) -> Result<Box<dyn Objective + 'a>, TrainError> {
        Ok(Box::new(Labelled { rows, settings: self }))
    }
}
