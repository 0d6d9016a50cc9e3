//! One request for a row, and the reply to it.

use serde::Serialize;
use serde_json::Value;

/// One request for a row, and the reply to it.
#[derive(Debug, Serialize)]
pub struct Attempt {
    /// What is sent, with secrets masked; null where the stage needs no call for the reply.
    pub request: Value,
    /// The reply; null where it is not cached and nothing was sent.
    pub reply: Value,
    /// Where the reply is from: `stage`, `memo`, `call`, or `none`.
    pub from: &'static str,
}
