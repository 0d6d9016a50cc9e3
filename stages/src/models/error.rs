//! Why a model, an adapter or their files cannot be read, written or used.

use std::path::PathBuf;

use super::batch::LayoutError;
use crate::tokenizer::TokenizerError;

/// Says why a checkpoint or an adapter could not be written, read or used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// A file could not be written or read.
    #[error("cannot access `{path}`: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is there and says something else than a checkpoint must.
    #[error("`{path}` is not a checkpoint's file: {reason}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Weights that the configuration asks for are not there.
    #[error("`{path}` lacks weights that `config.json` asks for: {}", list(.names))]
    Missing {
        /// The folder.
        path: PathBuf,
        /// All that is missing.
        names: Vec<String>,
    },
    /// There are weights that the architecture has no place for.
    #[error("`{path}` has weights that the architecture of `config.json` has no place for: {}", list(.names))]
    Extra {
        /// The folder.
        path: PathBuf,
        /// All that is too much.
        names: Vec<String>,
    },
    /// One tensor cannot be used as it is.
    #[error("`{path}`: `{name}` {reason}")]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The tokenizer's files do not make a tokenizer.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
}

/// Says why a model cannot compute a batch.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The rows are no rectangle.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A token that the model does not have.
    #[error("token {token} is outside the vocabulary of {vocab_size}")]
    Token {
        /// The token.
        token: i64,
        /// Number of tokens that the model has.
        vocab_size: usize,
    },
    /// A place that the batch does not have.
    #[error("position {position} is outside a row of {width} tokens")]
    Position {
        /// The position asked for.
        position: usize,
        /// Tokens of a row.
        width: usize,
    },
}

/// Names the first few of many.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let mut text = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}
