//! What one try of a call gives: a reply with what came along, or a failure and whether another try may succeed.

use std::time::Duration;

use super::pace::Announced;
use crate::llm::request::Reply;

/// A reply, and what the response said beside it.
pub(crate) struct Got {
    pub reply: Reply,
    /// The server's id of the call.
    pub id: Option<String>,
    pub announced: Announced,
}

/// A failure, by whether another try may succeed.
pub(crate) enum Failed {
    /// The call was refused for being too fast.
    TooFast { after: Option<Duration>, message: String },
    /// The server or the network failed; another try may succeed.
    Again { after: Option<Duration>, message: String, why: Why },
    /// The server takes no JSON schema; another try without one may succeed.
    NoSchema { message: String },
    /// Another try would fail too.
    Never {
        /// The kind of failure: equal codes are equal failures.
        code: String,
        message: String,
        /// What to do about it.
        help: Option<String>,
        /// The server's words, if they may be about this prompt alone: if other prompts are answered, they are.
        perhaps_prompt: Option<String>,
    },
}

/// The cause of a failure after which another try may succeed.
#[derive(Clone, PartialEq)]
pub(crate) enum Why {
    /// The server or the network is in trouble.
    Trouble,
    /// The answer is no reply; the address may be another server's.
    Nonsense,
    /// No connection was made.
    Unreached,
    /// The server answers this prompt, and says nothing, for this reason.
    NoAnswer(String),
}

/// A try without a reply.
pub(crate) struct Unanswered {
    pub failed: Failed,
    /// Whether the server may have generated a reply that is paid for.
    pub may_be_charged: bool,
}

impl Failed {
    /// Returns what happened.
    pub(crate) fn message(&self) -> &str {
        let (Self::TooFast { message, .. }
        | Self::Again { message, .. }
        | Self::NoSchema { message }
        | Self::Never { message, .. }) = self;
        message
    }

    /// Returns a permanent failure without a help.
    pub(crate) fn never(code: &str, message: String) -> Self {
        Self::Never { code: code.to_owned(), message, help: None, perhaps_prompt: None }
    }
}
