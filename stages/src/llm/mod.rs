//! Calls to models, paid for once and cached. Takes a prompt and settings; gives a completion with what it cost.
//!
//! Read from the bottom: `request` (what is sent, and the reply), `providers` (the protocol of each provider), `calls` (sending, limits,
//! retries, batches), `completion` (the cached effect), then `model` (the names in manifests), `prompt`, `released` and `structured` (texts
//! of prompts and replies), `reasoning` (what of a reply is no answer), `finish` (why a model stopped) and `reading` (a reply by both).
//! `readable` stops a stage whose replies cannot be read, `recording` reads files of recorded answers, `usage` counts tokens, `secret` masks
//! keys.

pub(crate) mod calls;
pub(crate) mod completion;
pub(crate) mod finish;
pub(crate) mod model;
pub(crate) mod prompt;
pub(crate) mod providers;
pub(crate) mod readable;
pub(crate) mod reading;
pub(crate) mod reasoning;
pub(crate) mod recording;
pub(crate) mod released;
pub(crate) mod request;
pub(crate) mod secret;
pub(crate) mod structured;
pub(crate) mod usage;
