//! The judge `choice`: right is the letter of the right choice, `A` to `J`, wherever an answer names it: alone, in a sentence, after
//! reasoning. Takes a question and an answer; gives a grade.
//!
//! The last plain statement counts ("the answer is (B)", "Answer: B", `\boxed{B}`); without one, an answer that begins with a letter,
//! a choice's own words, or a last letter that stands by itself. The article "A" and the pronoun "I" are no letters.

use std::sync::LazyLock;

use engine::{Context, StageError};
use regex::Regex;

use super::{
    exact::folded,
    grader::{self, Grader, NoParams, Opening, idk},
};
use crate::{
    llm::request::Reply,
    rows::{Answer, Grade, Question},
};

pub(super) struct Judge {
    idk: Vec<String>,
}

impl grader::Judge for Judge {
    const NAME: &'static str = "choice";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "an answer is right if it names the letter of the right choice";
    const EXAMPLE: &'static str = "{ judge: choice }";
    type Params = NoParams;

    fn open(_: &Context, _: &NoParams, common: &Opening<'_>) -> Result<Self, StageError> {
        Ok(Self { idk: common.idk.to_vec() })
    }
}

impl Grader for Judge {
    fn grade(&self, question: &Question, answer: &Answer, _: &[Reply]) -> Result<Option<(Grade, String)>, StageError> {
        let text = answer.text.as_deref().unwrap_or_default();
        let Some(letter) = letter(text, &question.choices) else {
            let graded = idk(text, &self.idk);
            return Ok(Some(graded.unwrap_or_else(|| (Grade::Incorrect, "names no choice".to_owned()))));
        };
        let right = question.gold.iter().any(|gold| gold_letter(gold, &question.choices) == Some(letter));
        let grade = if right { Grade::Correct } else { Grade::Incorrect };
        Ok(Some((grade, format!("says {letter}"))))
    }
}

/// Returns the letter of a gold answer, which may be given as a choice's text.
fn gold_letter(gold: &str, choices: &[String]) -> Option<char> {
    let mut characters = gold.trim().chars();
    match (characters.next(), characters.next()) {
        (Some(letter @ 'A'..='J'), None) => Some(letter),
        _ => by_text(gold, choices),
    }
}

fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is fixed and right")
}

/// A statement of the answer. Brackets, stars and TeX may surround its letter.
static STATEMENT: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"(?x)
        (?i:\b(?:answer|choice|option))
        (?: \s+ (?i:choice|option) )?
        (?: \s* (?i:is|would\ be|must\ be|:|=|-) \s* )+
        (?i: (?:therefore|thus|option|choice|letter|clearly) \s+ )*
        [\s\*_\(\[\$\\{]* (?: (?:boxed|text|textbf|mathbf) \{ [\s\(\\{]* )*
        ( [A-J] ) (?: [^\w'’] | $ )
        | \\boxed \{ [\s\(\\]* (?: text \{ )? \(? ( [A-J] ) \)? [\s\)\}]
        ",
    )
});

/// A letter that opens an answer: `B`, `(B)`, `B.`, `**B**: …`.
static OPENING: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"^[\s\*_\(\[]*([A-J])(?:[\)\]\*_]*[\.:\)\]][\)\]\*_]*(?:\s|$)|[\)\]\*_\.:]*\s*$)"));

/// A letter by itself. "A" and "I" count only if brackets or stars show that they are no words.
static ALONE: LazyLock<Regex> = LazyLock::new(|| compiled(r"\(([A-J])\)|\*\*([A-J])\*\*|\b([B-HJ])\b(?:[^'’\w]|$)"));

fn letter(text: &str, choices: &[String]) -> Option<char> {
    let most = char::from(b'A' + choices.len().clamp(1, 10) as u8 - 1);
    let fits = |letter: &char| choices.is_empty() || *letter <= most;
    let last = |pattern: &Regex, text: &str| {
        let found =
            pattern.captures_iter(text).filter_map(|captures| captures.iter().skip(1).flatten().next()?.as_str().chars().next());
        found.filter(fits).last()
    };
    last(&STATEMENT, text)
        .or_else(|| last(&OPENING, text))
        .or_else(|| by_text(text, choices))
        .or_else(|| last(&ALONE, text.trim_end().lines().last().unwrap_or_default()))
}

/// Returns the letter of the one choice whose words an answer contains.
fn by_text(text: &str, choices: &[String]) -> Option<char> {
    let text = folded(text);
    let equal = choices.iter().position(|choice| folded(choice) == text);
    let within = || {
        let mut inside =
            choices.iter().enumerate().filter(|(_, choice)| !choice.trim().is_empty() && contains(&text, &folded(choice)));
        // One choice may be part of another, so the longest counts. Two choices of which neither is part of the other are no answer.
        let found: Vec<_> = inside.by_ref().collect();
        let longest = found.iter().max_by_key(|(_, choice)| choice.len())?;
        found.iter().all(|(_, choice)| folded(longest.1).contains(&folded(choice))).then_some(longest.0)
    };
    equal.or_else(within).map(|index| char::from(b'A' + index as u8))
}

/// Returns whether the text contains the words as whole words.
fn contains(text: &str, words: &str) -> bool {
    let edge = |character: Option<char>| !character.is_some_and(char::is_alphanumeric);
    text.match_indices(words).any(|(at, _)| edge(text[..at].chars().next_back()) && edge(text[at + words.len()..].chars().next()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_found_where_models_put_it() {
        let choices: Vec<_> = ["iron", "gold", "silver ore", "silver"].map(str::to_owned).to_vec();
        for (text, expected) in [
            ("B", Some('B')),
            ("(B)", Some('B')),
            ("B.", Some('B')),
            ("b", None),
            ("**B**", Some('B')),
            ("B. gold", Some('B')),
            ("**C**: silver ore", Some('C')),
            ("Answer: B", Some('B')),
            ("The answer is (D).", Some('D')),
            ("A long story. It could be A, but the answer is **C**.", Some('C')),
            ("First I thought the answer is A. No: the answer is B", Some('B')),
            ("$\\boxed{B}$", Some('B')),
            ("The answer is \\boxed{\\text{C}}.", Some('C')),
            ("The correct answer is option D", Some('D')),
            ("gold", Some('B')),
            ("It has to be silver ore.", Some('C')),
            ("silver or gold", None),
            ("I cannot tell. A metal, I think.", None),
            ("The answer is a metal.", None),
            ("The answer is A metal", Some('A')),
            ("It is I who asks.", None),
            ("Of these I take (A)", Some('A')),
            ("The answer is H", None),
            ("So it must be D", Some('D')),
        ] {
            assert_eq!(letter(text, &choices), expected, "{text}");
        }
    }

    #[test]
    fn a_gold_text_has_a_letter_too() {
        let choices = ["iron".to_owned(), "gold".to_owned()];
        assert_eq!(
            (gold_letter("B", &choices), gold_letter("Gold", &choices), gold_letter("tin", &choices)),
            (Some('B'), Some('B'), None)
        );
    }
}
