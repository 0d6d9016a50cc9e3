//! A question as a benchmark has it, before it has an id of ours and a split.

use serde_json::{Map, Value};

/// A question as a benchmark has it.
#[derive(Default)]
pub(crate) struct Draft {
    /// The benchmark's own id, if it has one.
    pub id: Option<String>,
    /// The text that models see.
    pub question: String,
    /// Every text that counts as right.
    pub gold: Vec<String>,
    /// The texts to choose from, where it is a multiple choice.
    pub choices: Vec<String>,
    /// Texts that are known to be wrong.
    pub wrong: Vec<String>,
    /// Whatever else the benchmark says.
    pub meta: Map<String, Value>,
}
