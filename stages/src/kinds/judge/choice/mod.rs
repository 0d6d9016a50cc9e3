//! The judge `choice`: right is the right choice, wherever an answer names it: alone, in a sentence, after reasoning, by letter, number
//! or words. Takes a question and an answer; gives a grade.
//!
//! The order of what counts is said in `read`, which reads an answer; `statement` finds sentences that announce one, `label` the name of
//! a choice at a place, `plain` takes markup away. No letter has an advantage: `forms` tries every form with every letter. The article
//! "A" and the pronoun "I" are no letters. An answer that names several choices is right only if the gold has them all.
//!
//! Measured on 24,004 answers of two Gemini models to MMLU-Pro: kappa with the recorded verdicts is 0.987 and 0.980. Where they differ,
//! MMLU-Pro's grader takes the first letter that is stated (here the last counts: 64 answers correct themselves), guesses from any
//! capital letter ("I cannot provide an answer" is its choice I: 32), or reads a list of contradicting answers as its first line (96).

mod label;
mod mark;
mod plain;
mod read;
mod statement;

#[cfg(test)]
mod form_list;
#[cfg(test)]
mod forms;

use engine::{Context, StageError};

use super::grader::{self, Graded, NoParams, Opening, Reader};
use crate::rows::{Grade, Question, Unclear};
use label::{Labels, Said};

pub(super) struct Judge {
    idk: Vec<String>,
}

impl grader::Judge for Judge {
    const NAME: &'static str = "choice";
    const VERSION: u32 = 2;
    const SUMMARY: &'static str =
        "for multiple choice: an answer is right if it names the right choice, by letter, number or words";
    const EXAMPLE: &'static str = "{ judge: choice }";
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
        let gold = gold(question)?;
        let Some(read) = read::read(text, &question.choices) else {
            return Ok(Graded::new(Grade::Incorrect, "names no choice").unclear(Unclear::Unreadable));
        };
        let graded = match &read.said {
            Said::One(choice) => {
                let grade = if gold.contains(choice) { Grade::Correct } else { Grade::Incorrect };
                Graded::new(grade, format!("says {}", name(*choice)))
            }
            Said::Several(choices)
                if gold.len() > 1 && choices.len() == gold.len() && choices.iter().all(|one| gold.contains(one)) =>
            {
                Graded::new(Grade::Correct, format!("says {}", names(choices)))
            }
            Said::Several(choices) => Graded::new(Grade::Incorrect, format!("says {}", names(choices))).unclear(Unclear::Several),
        };
        Ok(if read.firm { graded.firm() } else { graded })
    }
}

/// Returns the right choices of a question.
///
/// # Errors
/// A gold answer names no choice.
fn gold(question: &Question) -> Result<Vec<usize>, StageError> {
    let labels = Labels::new(&question.choices);
    let place = |gold: &String| {
        labels.named(gold).ok_or_else(|| {
            StageError::failed(format!("question `{}`: the right answer `{gold}` names none of its choices", question.id))
                .help("judge `choice` needs a gold answer that is a letter, or the words of one choice")
        })
    };
    question.gold.iter().map(place).collect()
}

/// Returns what a choice is called: its letter, or its number behind the letters.
fn name(choice: usize) -> String {
    match u8::try_from(choice) {
        Ok(place @ 0..26) => char::from(b'A' + place).to_string(),
        _ => (choice + 1).to_string(),
    }
}

fn names(choices: &[usize]) -> String {
    choices.iter().map(|choice| name(*choice)).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gold_answer_is_a_letter_or_the_words_of_a_choice() {
        let named = |gold: &str, choices: &[&str]| {
            Labels::new(&choices.iter().map(|choice| (*choice).to_owned()).collect::<Vec<_>>()).named(gold)
        };
        let metals = ["iron", "gold"];
        assert_eq!(
            ["B", "Gold", "(B)", "B. gold", "tin", "C", ""].map(|gold| named(gold, &metals)),
            [Some(1), Some(1), Some(1), Some(1), None, None, None]
        );
        assert_eq!(named("1", &["4", "3", "2", "1"]), Some(3));
        assert_eq!(named("A", &["B", "A"]), Some(0));
    }
}
