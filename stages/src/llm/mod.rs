//! Asking a model: a request → a completion, bought once and kept.
//!
//! Takes a prompt and settings; gives a completion with what it cost. Read from the bottom: `request` (what is asked, and what comes
//! back), `providers` (how each provider is spoken to), `calls` (sending, limits, retries, batches), `completion` (the cached effect),
//! then `model` (the names in manifests), `prompt` and `json_reply` (text in, text out).

pub(crate) mod calls;
pub(crate) mod completion;
pub(crate) mod json_reply;
pub(crate) mod model;
pub(crate) mod prompt;
pub(crate) mod providers;
pub(crate) mod readable;
pub(crate) mod recording;
pub(crate) mod request;
pub(crate) mod secret;
