//! What one try of a call comes to: a reply with what came along, or a failure and whether another try may mend it.

use std::time::Duration;

use super::pace::Announced;
use crate::llm::request::Reply;

/// A reply and what came with it.
pub(crate) struct Got {
    pub reply: Reply,
    /// The server's own name for the call.
    pub id: Option<String>,
    pub announced: Announced,
}

/// Why there is no reply.
pub(crate) enum Failed {
    /// Refused for being too fast.
    TooFast { after: Option<Duration>, message: String },
    /// The server or the network failed; the next try may not.
    Again { after: Option<Duration>, message: String, why: Why },
    /// Asking again would not help.
    Never {
        /// Equal codes are equal failures.
        code: String,
        message: String,
        /// What to do about it.
        help: Option<String>,
    },
}

/// What is in trouble when the next try may not fail.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Why {
    /// The server or the way to it.
    Trouble,
    /// It answers with what is no reply: something else may stand at that address.
    Nonsense,
    /// It is not there.
    Unreached,
}

impl Failed {
    /// Returns a failure that asking again would not mend.
    pub(crate) fn never(code: &str, message: String) -> Self {
        Self::Never { code: code.to_owned(), message, help: None }
    }
}
