//! A mistake in params that only the stage can see.

/// A mistake that only the stage can see, at a field below `with:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamMistake {
    /// The field, outermost name first; empty for the stage as a whole.
    pub field: Vec<String>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}
