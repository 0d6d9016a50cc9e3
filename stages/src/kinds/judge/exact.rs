//! Right is what equals a gold answer, letter case and spaces aside.

use super::grader::{Judge, JudgeKind, does_not_know};
use crate::rows::{Answer, Grade, Question};

pub(crate) const KIND: JudgeKind = JudgeKind {
    name: "exact",
    version: 1,
    reads_file: false,
    open: |_, settings| Ok(Box::new(Exact { idk: settings.idk.to_vec() })),
};

struct Exact {
    idk: Vec<String>,
}

impl Judge for Exact {
    fn grade(&self, question: &Question, answer: &Answer) -> Result<(Grade, String), engine::StageError> {
        let text = answer.text.as_deref().unwrap_or_default();
        if does_not_know(text, &self.idk) {
            return Ok((Grade::Idk, "says that it does not know".to_owned()));
        }
        Ok(match question.gold.iter().find(|gold| folded(gold) == folded(text)) {
            Some(gold) => (Grade::Correct, format!("equals `{gold}`")),
            None => (Grade::Incorrect, "equals no gold answer".to_owned()),
        })
    }
}

/// A text in lower case with single spaces and no full stop at its end.
pub(crate) fn folded(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ").to_lowercase().trim_end_matches('.').to_owned()
}
