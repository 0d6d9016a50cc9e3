//! A mistake in params that only the stage can find.

/// A mistake that only the stage can find, at a field below `with:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamMistake {
    /// The field, outermost name first; empty for the stage as a whole.
    pub field: Vec<String>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl ParamMistake {
    /// Returns a mistake at a field, outermost name first.
    pub fn new(field: &[&str], message: impl Into<String>, help: impl Into<String>) -> Self {
        let field = field.iter().map(|&name| name.to_owned()).collect();
        Self { field, message: message.into(), help: help.into() }
    }
}
