//! The judge `exact`: right is what equals a gold answer, letter case and spaces aside. Takes a question and an answer; gives a grade.

use engine::{Context, StageError};

use super::grader::{self, Grader, NoParams, Opening, idk};
use crate::{
    llm::request::Reply,
    rows::{Answer, Grade, Question},
};

pub(super) struct Judge {
    idk: Vec<String>,
}

impl grader::Judge for Judge {
    const NAME: &'static str = "exact";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "an answer is right if it equals a gold answer, letter case and spaces aside";
    const EXAMPLE: &'static str = "{ judge: exact }";
    type Params = NoParams;

    fn open(_: &Context, _: &NoParams, common: &Opening<'_>) -> Result<Self, StageError> {
        Ok(Self { idk: common.idk.to_vec() })
    }
}

impl Grader for Judge {
    fn grade(&self, question: &Question, answer: &Answer, _: &[Reply]) -> Result<Option<(Grade, String)>, StageError> {
        let text = answer.text.as_deref().unwrap_or_default();
        let graded = || match question.gold.iter().find(|gold| folded(gold) == folded(text)) {
            Some(gold) => (Grade::Correct, format!("equals `{gold}`")),
            None => (Grade::Incorrect, "equals no gold answer".to_owned()),
        };
        Ok(Some(idk(text, &self.idk).unwrap_or_else(graded)))
    }
}

/// Returns a text in lower case with single spaces and no full stop at its end.
pub(crate) fn folded(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ").to_lowercase().trim_end_matches('.').to_owned()
}
