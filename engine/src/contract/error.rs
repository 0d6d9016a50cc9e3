//! What goes wrong while a stage runs, and who is to blame for it.

use std::fmt::Display;

/// Why a stage did not give its outputs.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// Something handed to the stage is wrong: a malformed row, a missing id, a program that failed.
    #[error("{message}")]
    Failed {
        /// What is wrong and where.
        message: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// The machine or the network is to blame: a full disk, a folder that cannot be written.
    #[error("{0}")]
    Environment(String),
    /// The run may not pay for the next call.
    #[error("{0}")]
    OverBudget(String),
    /// A signal or another stage's failure ended the stage.
    #[error("cancelled")]
    Cancelled,
    /// The call failed in a way that says nothing about its unit; it is never stored.
    #[error("{0}")]
    Transient(String),
}

impl StageError {
    /// Returns a failure of what was handed in.
    pub fn failed(message: impl Display) -> Self {
        Self::Failed { message: message.to_string(), help: None }
    }

    /// Says where it happened.
    pub(crate) fn at(self, place: &str) -> Self {
        let placed = |message: String| format!("{place}: {message}");
        match self {
            Self::Failed { message, help } => Self::Failed { message: placed(message), help },
            Self::Environment(message) => Self::Environment(placed(message)),
            Self::Transient(message) => Self::Transient(placed(message)),
            other => other,
        }
    }

    /// Adds what to do about the failure.
    #[must_use]
    pub fn help(self, text: impl Into<String>) -> Self {
        match self {
            Self::Failed { message, .. } => Self::Failed { message, help: Some(text.into()) },
            other => other,
        }
    }
}

/// What `serde_json` says of one line, without the place: it counts lines from that line.
pub fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

impl From<cache::CacheError> for StageError {
    fn from(error: cache::CacheError) -> Self {
        Self::Environment(error.to_string())
    }
}

impl From<std::io::Error> for StageError {
    fn from(error: std::io::Error) -> Self {
        Self::Environment(error.to_string())
    }
}
