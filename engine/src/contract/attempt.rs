//! One thing that was asked for a row, and what came back.

use serde::Serialize;
use serde_json::Value;

/// One thing asked for a row.
#[derive(Debug, Serialize)]
pub struct Attempt {
    /// What is sent, secrets masked; null where the reply is known without a call.
    pub request: Value,
    /// What came back; null where nothing was sent.
    pub reply: Value,
    /// Where the reply is from: `stage`, `memo`, `call`, or `none`.
    pub from: &'static str,
}
