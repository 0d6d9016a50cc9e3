//! Rows of text → rows of token ids with labels, as TRL's trainers make them.
//!
//! ```text
//! file → columns → examples → ids and labels → cut, dropped → packed
//! ```
//!
//! [`columns`] reads a file and tells what shape its rows have, [`sft`] and [`dpo`] tokenise them, [`packing`] puts short ones together.

pub mod columns;
pub mod dpo;
pub mod packing;
pub mod sft;

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::settings::{Files, Method, Settings};
use crate::tokenizer::{ChatTemplate, Tokenizer, TokenizerError};
pub use columns::Columns;

/// The label of a token that nothing is learned from.
pub const IGNORED: i64 = -100;

/// Says why rows could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A file cannot be read or written.
    #[error("`{path}`: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A row does not have the columns that it needs, or not of one kind.
    #[error("row {row}: {reason}")]
    Shape {
        /// Index of the row, from 0.
        row: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A row cannot be tokenised.
    #[error("row {row}: {source}")]
    Row {
        /// Index of the row, from 0.
        row: usize,
        /// What is wrong with it.
        source: TokenizerError,
    },
    /// Packing needs to know how long a packed row is.
    #[error("`packing` needs a `max_length` of at least 1")]
    Unbounded,
    /// The tokenizer cannot be opened.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
}

/// A row for supervised fine-tuning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SftRow {
    /// Token ids.
    pub input_ids: Vec<u32>,
    /// For each the id that is to be predicted at the place before it, or [`IGNORED`].
    pub labels: Vec<i64>,
    /// Lengths of the documents that a packed row is made of: positions restart, and none sees another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq_lengths: Option<Vec<usize>>,
}

/// A pair for direct preference optimisation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DpoRow {
    /// What both answers begin with.
    pub prompt_ids: Vec<u32>,
    /// The better answer.
    pub chosen_ids: Vec<u32>,
    /// The worse one.
    pub rejected_ids: Vec<u32>,
    /// The reference's log-probability of the better answer, where it was asked beforehand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ref_chosen_logps: Option<f64>,
    /// And of the worse one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ref_rejected_logps: Option<f64>,
}

impl DpoRow {
    /// Returns the answer's tokens that `max_length` leaves after the prompt.
    #[must_use]
    pub fn within<'a>(&self, answer: &'a [u32], max_length: Option<usize>) -> &'a [u32] {
        let room = max_length.map_or(answer.len(), |most| most.saturating_sub(self.prompt_ids.len()));
        &answer[..room.min(answer.len())]
    }
}

/// Rows that are ready, and what became of the others.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared<R> {
    /// The rows, in the order of the file; packed ones in the order of packing.
    pub rows: Vec<R>,
    /// For each of them the `id` of its example, or of all its examples where it is packed.
    pub ids: Vec<String>,
    /// Rows that were cut to `max_length`.
    pub cut: usize,
    /// Rows that were left out, because nothing to learn was left of them.
    pub dropped: usize,
}

impl<R: Serialize> Prepared<R> {
    /// Writes the rows as JSON lines.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, mut to: impl Write) -> std::io::Result<()> {
        for row in &self.rows {
            serde_json::to_writer(&mut to, row)?;
            to.write_all(b"\n")?;
        }
        to.flush()
    }
}

/// The rows of a method.
#[derive(Clone, Debug, PartialEq)]
pub enum Rows {
    /// For supervised fine-tuning.
    Sft(Prepared<SftRow>),
    /// For direct preference optimisation.
    Dpo(Prepared<DpoRow>),
}

/// Opens the tokenizer that a training reads its rows with: the base model's, with the chat template that is named beside it.
///
/// # Errors
/// Files that are missing or damaged.
pub fn tokenizer(files: &Files) -> Result<Tokenizer, PrepareError> {
    let tokenizer = Tokenizer::open(&files.base_model)?;
    let Some(path) = &files.chat_template else { return Ok(tokenizer) };
    let text = std::fs::read_to_string(path).map_err(|source| PrepareError::File { path: path.clone(), source })?;
    let template = ChatTemplate::new(path.display().to_string(), text).map_err(TokenizerError::from)?;
    Ok(tokenizer.with_chat_template(template))
}

/// Prepares a file's rows for a method.
///
/// # Errors
/// A file that cannot be read, and rows that cannot be tokenised.
pub fn rows(settings: &Settings, tokenizer: &Tokenizer, path: &Path, range: Option<[usize; 2]>) -> Result<Rows, PrepareError> {
    let columns = columns::read(path, range)?;
    let max_length = settings.training.max_length;
    Ok(match &settings.method {
        Method::Sft(method) => Rows::Sft(sft::prepare(tokenizer, &columns, method, max_length)?),
        Method::Dpo(_) => Rows::Dpo(dpo::prepare(tokenizer, &columns, max_length)?),
    })
}

/// Names a row by its `id`, or by its number from 0 where it has none.
fn id(row: &Columns, number: usize) -> String {
    row.get("id").filter(|id| !id.is_none()).map_or_else(|| format!("row {number}"), ToString::to_string)
}

/// The number of tokens that two rows begin with alike.
fn common_prefix(left: &[u32], right: &[u32]) -> usize {
    left.iter().zip(right).take_while(|(left, right)| left == right).count()
}

#[cfg(test)]
mod tests;
