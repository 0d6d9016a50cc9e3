//! How far a training is: what a training that goes on after a stop needs besides its settings and its rows.

/// Position of a training.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// Steps done.
    pub(super) step: usize,
    /// Tokens learned from.
    pub(super) num_tokens: usize,
}
