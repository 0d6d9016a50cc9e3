//! A method of training: its settings, how it prepares rows, and its objective over them. What methods share reaches them through this trait
//! only: settings, memory, [`run`](super::run), `debug train` and the stage kinds.

use std::fmt::Debug;

use serde::Serialize;

use super::{
    TrainError,
    objective::Objective,
    prepared::{Columns, PrepareError, Prepared},
    settings::Training,
};
use crate::{part::Part, tokenizer::Tokenizer};

/// A method of training. Its value is its settings, besides those of all trainings.
pub trait Method: Part + Clone + Debug + Default + Sync {
    /// The value of `stage` in a `stage.json`, and the kind of its stage.
    const NAME: &'static str;

    /// Sequences of at most `max_length` tokens in a row: 1, or 2 where a row is a pair of answers.
    const SEQUENCES: u64;

    /// Whether an adapter's `lora_dropout` is applied.
    const DROPOUT: bool;

    /// A prepared row.
    type Row: Serialize;

    /// Refuses settings that are out of range or contradict each other.
    ///
    /// # Errors
    /// The first such setting.
    fn check(&self, _training: &Training) -> Result<(), TrainError> {
        Ok(())
    }

    /// Tokenises rows and cuts them to `max_length`. Drops rows that have no token left to learn.
    ///
    /// # Errors
    /// Rows without the columns that they need, and what the tokenizer refuses.
    fn prepare(
        &self,
        tokenizer: &Tokenizer,
        rows: &[Columns],
        max_length: Option<usize>,
    ) -> Result<Prepared<Self::Row>, PrepareError>;

    /// Counts the tokens that are computed for a row, and those of them that are learned.
    fn size(row: &Self::Row, max_length: Option<usize>) -> [usize; 2];

    /// Counts the copies of the trained weights that the objective makes.
    fn copies(&self) -> u64 {
        0
    }

    /// Makes the objective over rows with these ids.
    ///
    /// # Errors
    /// A row that cannot be trained on.
    fn objective<'a>(
        &'a self,
        training: &'a Training,
        rows: &'a mut [Self::Row],
        ids: &[String],
    ) -> Result<Box<dyn Objective + 'a>, TrainError>;
}
