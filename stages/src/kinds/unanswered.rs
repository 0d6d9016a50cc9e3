//! What counts where an answer has no verdict. Takes what the manifest says and the outcome of a call; gives a grade or none.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    defaults::is_default,
    rows::{Grade, Outcome},
};

/// What stands for a verdict that is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Missing {
    /// Nothing: the question becomes no example, and where it is measured the answer counts as incorrect.
    #[default]
    Drop,
    /// The model is taken not to know.
    Idk,
    /// The model is taken to be wrong.
    Incorrect,
}

impl Missing {
    /// Returns the grade that counts, if one does.
    pub(crate) fn grade(self) -> Option<Grade> {
        match self {
            Self::Drop => None,
            Self::Idk => Some(Grade::Idk),
            Self::Incorrect => Some(Grade::Incorrect),
        }
    }
}

/// The same by what became of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MissingBy {
    refused: Missing,
    truncated: Missing,
    blocked: Missing,
    empty: Missing,
    model_swapped: Missing,
    /// The provider refused the prompt with an error.
    #[serde(skip_serializing_if = "is_default")]
    error: Missing,
}

impl Default for MissingBy {
    fn default() -> Self {
        let drop = Missing::Drop;
        Self { refused: Missing::Idk, truncated: drop, blocked: drop, empty: drop, model_swapped: drop, error: drop }
    }
}

impl MissingBy {
    /// Returns the grade of a call that brought no answer, if one counts, with the reason.
    pub(crate) fn grade(self, outcome: Outcome) -> Option<(Grade, &'static str)> {
        let (missing, reason) = match outcome {
            Outcome::Ok => return None,
            Outcome::Refused => (self.refused, "refused"),
            Outcome::Truncated => (self.truncated, "truncated"),
            Outcome::Blocked => (self.blocked, "blocked"),
            Outcome::Empty => (self.empty, "empty"),
            Outcome::Error => (self.error, "the provider refused the prompt"),
            Outcome::ModelSwapped => (self.model_swapped, "another model was served"),
        };
        Some((missing.grade()?, reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_that_it_does_not_know_and_the_rest_says_nothing() {
        let default = MissingBy::default();
        assert_eq!(default.grade(Outcome::Refused), Some((Grade::Idk, "refused")));
        assert_eq!(default.grade(Outcome::Truncated), None);
        assert_eq!(default.grade(Outcome::Error), None);
        let strict = MissingBy { truncated: Missing::Incorrect, refused: Missing::Drop, ..default };
        assert_eq!(strict.grade(Outcome::Truncated), Some((Grade::Incorrect, "truncated")));
        assert_eq!(strict.grade(Outcome::Refused), None);
    }
}
