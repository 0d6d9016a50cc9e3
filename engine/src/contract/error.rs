//! The errors of a running stage, and who is to blame for each.

use std::fmt::Display;

/// Who is to blame for a failure; exit codes follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// What was given to the stage: a malformed row, a missing id, a program that failed.
    Input,
    /// The machine or the network: a full disk, a folder that cannot be written, a missing key.
    Environment,
    /// The budget: the run may not pay for the next call.
    Budget,
    /// The call, in a way that says nothing about its unit; it is never stored.
    Transient,
    /// Nobody: a signal or the failure of another stage ended the stage.
    Cancelled,
}

/// Why a stage did not give its outputs.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct StageError {
    /// Who is to blame.
    pub blame: Blame,
    /// What is wrong and where.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl StageError {
    /// Returns an error with this blame and message, and no help.
    pub fn new(blame: Blame, message: impl Display) -> Self {
        Self { blame, message: message.to_string(), help: None }
    }

    /// Returns a failure of what was given to the stage.
    pub fn failed(message: impl Display) -> Self {
        Self::new(Blame::Input, message)
    }

    /// Returns a failure of the machine or the network.
    pub fn environment(message: impl Display) -> Self {
        Self::new(Blame::Environment, message)
    }

    /// Returns a refusal by the budget.
    pub fn over_budget(message: impl Display) -> Self {
        Self::new(Blame::Budget, message)
    }

    /// Returns a failure of a call that says nothing about its unit.
    pub fn transient(message: impl Display) -> Self {
        Self::new(Blame::Transient, message)
    }

    /// Returns the end of a stage that a signal or the failure of another stage stopped.
    pub fn cancelled() -> Self {
        Self::new(Blame::Cancelled, "cancelled")
    }

    /// Puts the place where it happened in front of the message. A refusal by the budget and a cancellation have no place.
    pub(crate) fn at(self, place: &str) -> Self {
        match self.blame {
            Blame::Budget | Blame::Cancelled => self,
            Blame::Input | Blame::Environment | Blame::Transient => {
                Self { message: format!("{place}: {}", self.message), ..self }
            }
        }
    }

    /// Adds what to do about the failure.
    #[must_use]
    pub fn help(self, text: impl Into<String>) -> Self {
        Self { help: Some(text.into()), ..self }
    }
}

/// Returns what `serde_json` says about one line, without the place, because it counts lines from that line.
pub fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

impl From<cache::CacheError> for StageError {
    fn from(error: cache::CacheError) -> Self {
        let help = error.help().map(str::to_owned);
        let failure = match error.blame() {
            cache::Blame::Environment | cache::Blame::Content => Self::environment(error),
            cache::Blame::Caller => Self::failed(error),
        };
        Self { help, ..failure }
    }
}

impl From<std::io::Error> for StageError {
    fn from(error: std::io::Error) -> Self {
        match cache::CacheError::inside(&error) {
            Some(error) => error.clone().into(),
            None => Self::environment(error),
        }
    }
}
