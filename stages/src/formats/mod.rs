//! Formats of other programs, for `export --as`. Takes questions, answers and verdicts; gives files that those programs read.
//!
//! This file puts together what belongs together; each of the others writes one format. A format is one file and a word in `ALL`.

mod inspect;
mod lm_eval;

use std::collections::BTreeMap;

use engine::{ExportFormat, Registry, RowsByType};
use serde::de::DeserializeOwned;

use crate::rows::{Answer, Question, Verdict};

const ALL: [ExportFormat; 2] = [inspect::FORMAT, lm_eval::FORMAT];

/// Adds every format to a registry.
pub(crate) fn register(registry: Registry) -> Registry {
    ALL.into_iter().fold(registry, Registry::format)
}

/// The types of rows that a format takes at least. Verdicts are written where there are some.
const NEEDS: &[&str] = &["question", "answer"];

/// A question, the answer of one role to it, and the verdict on that.
struct Sample {
    question: Question,
    answer: Answer,
    verdict: Option<Verdict>,
}

/// Returns the samples by role, in the order of the answers.
///
/// # Errors
/// A sentence, if an answer has no question.
fn samples(rows: &RowsByType) -> Result<BTreeMap<String, Vec<Sample>>, String> {
    let questions: Vec<Question> = typed(rows, "question")?;
    let questions: BTreeMap<_, _> = questions.into_iter().map(|question| (question.id.clone(), question)).collect();
    let verdicts: Vec<Verdict> = typed(rows, "verdict")?;
    let mut verdicts: BTreeMap<_, _> =
        verdicts.into_iter().map(|verdict| ((verdict.id.clone(), verdict.model.clone()), verdict)).collect();
    let mut samples: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    for answer in typed::<Answer>(rows, "answer")? {
        let question = questions.get(&answer.id).cloned();
        let question =
            question.ok_or_else(|| format!("there is no question `{}` for the answer of `{}`", answer.id, answer.model))?;
        let verdict = verdicts.remove(&(answer.id.clone(), answer.model.clone()));
        samples.entry(answer.model.clone()).or_default().push(Sample { question, answer, verdict });
    }
    Ok(samples)
}

fn typed<T: DeserializeOwned>(rows: &RowsByType, kind: &str) -> Result<Vec<T>, String> {
    let rows = rows.get(kind).map_or(&[][..], Vec::as_slice);
    rows.iter()
        .map(|row| T::deserialize(row).map_err(|error| format!("a row of type `{kind}` cannot be read: {error}")))
        .collect()
}

/// Returns a role's name as part of a file's name.
fn file_name(role: &str) -> String {
    role.chars().map(|character| if character.is_alphanumeric() || "-.".contains(character) { character } else { '_' }).collect()
}
