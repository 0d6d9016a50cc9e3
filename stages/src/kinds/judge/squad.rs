//! The judge `squad`: right is what says the same words as a gold answer after `SQuAD`'s normalisation (Rajpurkar et al. 2016). Takes a
//! question and an answer; gives a grade.
//!
//! The normalisation is lower case, no punctuation, no articles, single spaces.

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
    const NAME: &'static str = "squad";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "an answer is right if it has the words of a gold answer, punctuation and articles aside";
    const EXAMPLE: &'static str = "{ judge: squad }";
    type Params = NoParams;

    fn open(_: &Context, _: &NoParams, common: &Opening<'_>) -> Result<Self, StageError> {
        Ok(Self { idk: common.idk.to_vec() })
    }
}

impl Grader for Judge {
    fn grade(&self, question: &Question, answer: &Answer, _: &[Reply]) -> Result<Option<(Grade, String)>, StageError> {
        let text = answer.text.as_deref().unwrap_or_default();
        let said = words(text);
        let graded = || match question.gold.iter().find(|gold| words(gold) == said) {
            Some(gold) => (Grade::Correct, format!("says `{gold}`")),
            None => (Grade::Incorrect, "says no gold answer".to_owned()),
        };
        Ok(Some(idk(text, &self.idk).unwrap_or_else(graded)))
    }
}

/// Returns the words of a text that are compared.
pub(crate) fn words(text: &str) -> Vec<String> {
    let kept: String = text.to_lowercase().chars().filter(|character| !character.is_ascii_punctuation()).collect();
    kept.split_whitespace().filter(|word| !["a", "an", "the"].contains(word)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_normalised_as_squad_does() {
        assert_eq!(words("The Cat's  hat, an \"A\"!"), ["cats", "hat"]);
        assert_eq!(words("a b.c"), ["bc"]);
    }
}
