//! The judge `squad`: right is what says the same words as a gold answer after `SQuAD`'s normalisation (Rajpurkar et al. 2016). Takes a
//! question and an answer; gives a grade.
//!
//! The normalisation is lower case, no ASCII punctuation, no articles, single spaces: "C++" is "c", "1.5" is "15" and "-3" is "3", so it
//! is for names and short phrases, and not for numbers or code.

use engine::{Context, StageError};

use super::grader::{self, Graded, NoParams, Opening, Reader};
use crate::rows::{Grade, Question};

pub(super) struct Judge {
    idk: Vec<String>,
}

impl grader::Judge for Judge {
    const NAME: &'static str = "squad";
    const VERSION: u32 = 2;
    const SUMMARY: &'static str =
        "for short answers: an answer is right if it has exactly the words of a gold answer, punctuation and articles aside";
    const EXAMPLE: &'static str = "{ judge: squad }";
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
        let said = words(text);
        Ok(match question.gold.iter().find(|gold| words(gold) == said) {
            Some(gold) => Graded::new(Grade::Correct, format!("says `{gold}`")).firm(),
            None => Graded::new(Grade::Incorrect, "says no gold answer"),
        })
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
