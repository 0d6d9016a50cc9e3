//! The judge `exact`: right is what equals a gold answer, letter case and spaces aside. Takes a question and an answer; gives a grade.

use engine::{Context, StageError};

use super::grader::{self, Graded, NoParams, Opening, Reader};
use crate::rows::{Grade, Question};

pub(super) struct Judge {
    idk: Vec<String>,
}

impl grader::Judge for Judge {
    const NAME: &'static str = "exact";
    const VERSION: u32 = 2;
    const SUMMARY: &'static str =
        "for answers of one word or figure: an answer is right if it equals a gold answer, letter case and spaces aside";
    const EXAMPLE: &'static str = "{ judge: exact }";
    type Params = NoParams;

    fn open(_: &Context, _: &NoParams, common: &Opening<'_>) -> Result<Self, StageError> {
        Ok(Self { idk: common.idk.to_vec() })
    }
}

impl Reader for Judge {
    fn idk(&self) -> &[String] {
        &self.idk
    }

    fn read(&self, question: &Question, text: &str) -> Result<Graded, StageError> {
        Ok(match question.gold.iter().find(|gold| folded(gold) == folded(text)) {
            Some(gold) => Graded::new(Grade::Correct, format!("equals `{gold}`")).firm(),
            None => Graded::new(Grade::Incorrect, "equals no gold answer"),
        })
    }
}

/// Returns a text in lower case with single spaces and no full stop at its end.
pub(crate) fn folded(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ").to_lowercase().trim_end_matches('.').to_owned()
}
