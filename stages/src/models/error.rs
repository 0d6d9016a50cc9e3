//! Why a model, an adapter or their files cannot be read, written or used.

use std::path::PathBuf;

use super::batch::LayoutError;
use crate::tokenizer::TokenizerError;

/// Why a checkpoint or an adapter could not be written, read or used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// A file could not be written or read.
    #[error("cannot access `{path}`: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file is not what a checkpoint's file has to be.
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
        /// The names of all missing weights.
        names: Vec<String>,
    },
    /// There are weights that the architecture does not have.
    #[error("`{path}` has weights that the architecture of `config.json` does not use: {}", list(.names))]
    Extra {
        /// The folder.
        path: PathBuf,
        /// The names of all these weights.
        names: Vec<String>,
    },
    /// A tensor cannot be used.
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

/// Why a model cannot compute a batch.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The rows cannot be laid out.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A token is outside of the vocabulary.
    #[error("token {token} is outside the vocabulary of {vocab_size}")]
    Token {
        /// The token.
        token: i64,
        /// The size of the vocabulary.
        vocab_size: usize,
    },
    /// A position is outside of the batch's rows.
    #[error("position {position} is outside a row of {width} tokens")]
    Position {
        /// The position.
        position: usize,
        /// Number of tokens of a row.
        width: usize,
    },
}

/// Lists names for a message. Of many names, only the first few are listed.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let mut text = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}
