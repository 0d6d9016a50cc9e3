//! What a method of training is: its settings, how it prepares rows, and its objective over them. All code that methods share uses them through
//! this trait only: settings, memory, [`run`](super::run), `debug train` and the kinds of stage.

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

    /// Number of sequences of at most `max_length` tokens in a row: 1, or 2 if a row is a pair of answers.
    const SEQUENCES: u64;

    /// Whether an adapter's `lora_dropout` is applied.
    const DROPOUT: bool;

    /// A prepared row.
    type Row: Serialize;

    /// Checks the settings.
    ///
    /// # Errors
    /// The first setting that is out of range or contradicts another.
    fn check(&self, _training: &Training) -> Result<(), TrainError> {
        Ok(())
    }

    /// Tokenises rows and cuts them to `max_length`. Drops rows that have no token left to learn.
    ///
    /// # Errors
    /// A row lacks a column that it needs, or the tokenizer refuses it.
    fn prepare(
        &self,
        tokenizer: &Tokenizer,
        rows: &[Columns],
        max_length: Option<usize>,
    ) -> Result<Prepared<Self::Row>, PrepareError>;

    /// Returns the number of tokens that are computed for a row, and the number of those that are learned.
    fn size(row: &Self::Row, max_length: Option<usize>) -> [usize; 2];

    /// Returns the number of copies of the trained weights that the objective makes.
    fn copies(&self) -> u64 {
        0
    }

    /// Builds the objective over rows with these ids.
    ///
    /// # Errors
    /// A row cannot be trained on.
    fn objective<'a>(
        &'a self,
        training: &'a Training,
        rows: &'a mut [Self::Row],
        ids: &[String],
    ) -> Result<Box<dyn Objective + 'a>, TrainError>;
}
