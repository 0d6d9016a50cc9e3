//! Answers that were paid for outside of this program, and the replies that they become.

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

/// The replies that answers become, each with the digest of its unit.
pub(crate) type Adopted = Vec<(Digest, Vec<u8>)>;
