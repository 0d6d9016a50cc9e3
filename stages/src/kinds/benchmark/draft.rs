//! The draft of a question: as a benchmark has it, before it gets a split and, if it has none, an id.

use serde_json::{Map, Value};

/// A question as a benchmark has it.
#[derive(Default)]
pub(crate) struct Draft {
    /// The benchmark's own id, if it has one.
    pub id: Option<String>,
    /// The text that models see.
    pub question: String,
    /// Every text that counts as right; with choices, the letter of the right one.
    pub gold: Vec<String>,
    /// The texts to choose from, in order; empty unless it is a multiple choice.
    pub choices: Vec<String>,
    /// Texts that are known to be wrong.
    pub wrong: Vec<String>,
    /// Whatever else the benchmark says.
    pub meta: Map<String, Value>,
}
