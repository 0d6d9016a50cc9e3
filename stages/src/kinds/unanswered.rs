//! What counts where an answer has no verdict. Takes what the manifest says and the outcome of a call; gives a grade or none.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

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

/// A count of the answers that are not judged, by what became of the call and by what counts instead.
#[derive(Default)]
pub(crate) struct Unanswered(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    all: u64,
    by_outcome: BTreeMap<(Outcome, Option<Grade>), u64>,
}

impl Unanswered {
    /// Counts an answer, with the grade that counts for it if it is not judged.
    pub(crate) fn count(&self, outcome: Outcome, grade: Option<Grade>) {
        let mut counts = self.counts();
        counts.all += 1;
        if outcome != Outcome::Ok {
            *counts.by_outcome.entry((outcome, grade)).or_default() += 1;
        }
    }

    /// Returns a sentence with the counts, if any answer is not judged.
    pub(crate) fn sentence(&self) -> Option<String> {
        let counts = self.counts();
        let named = |((outcome, grade), count): (&(Outcome, Option<Grade>), &u64)| {
            let outcome = serde_json::to_string(outcome).unwrap_or_default().replace('"', "`");
            let then = grade.map_or("without a verdict".to_owned(), |grade| format!("counted as {grade}"));
            format!("{count} {outcome}, {then}")
        };
        let named: Vec<_> = counts.by_outcome.iter().map(named).collect();
        let unanswered: u64 = counts.by_outcome.values().sum();
        (unanswered > 0).then(|| format!("{unanswered} of {} answers are not judged: {}", counts.all, named.join("; ")))
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
