//! Prepared rows, and what methods share to prepare them. Takes rows of text by their columns; gives rows of token ids, with counts of those that
//! were cut or dropped.
//!
//! Read `columns` (a file and its columns) first, then `pairs` (a prompt with two answers). Each method tokenises its rows itself.

pub mod columns;
pub(crate) mod pairs;

use std::{io::Write, path::PathBuf};

use serde::Serialize;

use super::settings::Files;
use crate::tokenizer::{ChatTemplate, Tokenizer, TokenizerError};
pub use columns::Columns;

/// Why rows could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A file cannot be read or written.
    #[error("`{path}`: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A row lacks columns that it needs, or their values are of the wrong kind.
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
        /// The tokenizer's error.
        source: TokenizerError,
    },
    /// Packing needs the length of a packed row.
    #[error("`packing` needs a `max_length` of at least 1")]
    Unbounded,
    /// The tokenizer cannot be opened.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
}

/// Prepared rows, and how many rows were cut or dropped.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared<R> {
    /// The rows, in the order of the file; packed rows are in the order of packing.
    pub rows: Vec<R>,
    /// For each row the `id` of its example, or the ids of all examples in a packed row.
    pub ids: Vec<String>,
    /// Number of rows that were cut to `max_length`.
    pub cut: usize,
    /// Number of rows that were dropped because cutting left no token to learn.
    pub dropped: usize,
}

impl<R: Serialize> Prepared<R> {
    /// Writes the rows as JSON lines.
    ///
    /// # Errors
    /// The system's error in writing.
    pub fn write(&self, mut to: impl Write) -> std::io::Result<()> {
        for row in &self.rows {
            serde_json::to_writer(&mut to, row)?;
            to.write_all(b"\n")?;
        }
        to.flush()
    }
}

/// Opens the tokenizer of a training: the base model's, with the chat template of the settings if they name one.
///
/// # Errors
/// A file is missing or damaged.
pub fn tokenizer(files: &Files) -> Result<Tokenizer, PrepareError> {
    let tokenizer = Tokenizer::open(&files.base_model)?;
    let Some(path) = &files.chat_template else { return Ok(tokenizer) };
    let text = std::fs::read_to_string(path).map_err(|source| PrepareError::File { path: path.clone(), source })?;
    let template = ChatTemplate::new(path.display().to_string(), text).map_err(TokenizerError::from)?;
    Ok(tokenizer.with_chat_template(template))
}

/// Returns a row's `id`, or its number from 0 if it has none.
pub(crate) fn id(row: &Columns, number: usize) -> String {
    row.get("id").filter(|id| !id.is_none()).map_or_else(|| format!("row {number}"), ToString::to_string)
}

/// Returns the number of tokens in the common prefix of two rows.
pub(crate) fn common_prefix(left: &[u32], right: &[u32]) -> usize {
    left.iter().zip(right).take_while(|(left, right)| left == right).count()
}

#[cfg(test)]
mod tests;
