//! Answers that were paid for elsewhere, and the replies that they are.

use std::collections::BTreeMap;

use cache::Digest;
use serde_json::Value;

/// Answers of one payee, by the id or the text of what was asked.
pub struct Answers {
    /// Who gave them, as the manifest names it.
    pub payee: String,
    /// The answers.
    pub by_name: BTreeMap<String, Value>,
}

/// The replies that answers are to a stage's units.
pub(crate) type Adopted = Vec<(Digest, Vec<u8>)>;
