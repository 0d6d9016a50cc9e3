//! Answers without a verdict. Takes the outcome of each answer that is not judged; gives their numbers in a line, or the error that no answer
//! has a verdict.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use engine::{Context, StageError};

use crate::{
    llm::readable::Readable,
    rows::{Grade, Outcome},
};

/// Counts verdicts, and the answers that have none because of their outcome.
#[derive(Default)]
pub(super) struct Unjudged(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    verdicts: usize,
    outcomes: BTreeMap<Outcome, usize>,
    /// Answers that were recorded without their text.
    textless: usize,
    /// Answers that are not judged and count as a grade all the same.
    graded: BTreeMap<(Outcome, Grade), usize>,
}

impl Unjudged {
    /// Counts a verdict.
    pub(super) fn judged(&self) {
        self.counted(|counts| counts.verdicts += 1);
    }

    /// Counts an answer that is not judged, and counts as this grade.
    pub(super) fn graded(&self, outcome: Outcome, grade: Grade) {
        self.counted(|counts| *counts.graded.entry((outcome, grade)).or_default() += 1);
    }

    /// Counts an answer that has no verdict, of this outcome.
    pub(super) fn without(&self, outcome: Outcome) {
        self.counted(|counts| *counts.outcomes.entry(outcome).or_default() += 1);
    }

    /// Counts an answer that has no verdict, since it has no text.
    pub(super) fn textless(&self) {
        self.counted(|counts| counts.textless += 1);
    }

    /// Warns with the number of answers that have no verdict, in one line with those whose judge said nothing that can be read.
    ///
    /// # Errors
    /// No answer has a verdict.
    pub(super) fn finish(&self, ctx: &Context, readable: &Readable) -> Result<(), StageError> {
        let (verdicts, outcomes, graded, textless) =
            self.counted(|counts| (counts.verdicts, counts.outcomes.clone(), counts.graded.clone(), counts.textless));
        let unanswered = outcomes.values().sum::<usize>() + textless;
        if !graded.is_empty() {
            let listed: Vec<_> =
                graded.iter().map(|((outcome, grade), count)| format!("{count} {} as {grade}", outcome.word())).collect();
            let all = unanswered + verdicts;
            ctx.warn(format!(
                "{} of {all} answers are not judged and count: {}",
                graded.values().sum::<usize>(),
                listed.join(", ")
            ));
        }
        let mut listed: Vec<_> = outcomes.iter().map(|(outcome, count)| format!("{count} {}", outcome.word())).collect();
        if textless > 0 {
            listed.push(format!("{textless} without a text"));
        }
        let listed = listed.join(", ");
        let unread = readable.has_unread();
        let then = if unanswered == 0 {
            "these answers have no verdict".to_owned()
        } else {
            format!("these answers have no verdict, nor have those that are none: {listed}")
        };
        if verdicts == 0 && textless > 0 && !unread {
            return Err(StageError::failed(format!("no answer has a text to judge: {listed}"))
                .help("where only verdicts were published, take them with `judge: recorded, file: PATH`"));
        }
        if verdicts == 0 && unanswered > 0 && !unread {
            return Err(StageError::failed(format!("no answer has a verdict, since none is an answer: {listed}")).help(
                "look at the answers with `fingerpost show`, or say under `missing` what counts for them, such as `refused: idk`",
            ));
        }
        if unanswered > 0 && !unread {
            ctx.warn(format!("{unanswered} of {} answers have no verdict: {listed}", unanswered + verdicts));
        }
        readable.finish(ctx, &then)
    }

    fn counted<T>(&self, count: impl FnOnce(&mut Counts) -> T) -> T {
        count(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
