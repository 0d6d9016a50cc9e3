//! The judge `contains`: right is an answer in which a gold answer stands as whole words. Takes a question and an answer; gives a grade.
//!
//! Letter case, accents, articles, quotes and the marks between words are set aside. Numbers stay whole, with sign, decimals and percent,
//! and so do `C++` and `C#`: neither "15" nor "-1.5" contains "1.5". A gold answer behind "not" does not count, and no answer that has
//! a text that is known to be wrong as well. It is for sentences and short texts, and blind to what they say besides: `most_words` refuses
//! answers that list much.
//!
//! Measured against people on the 15,099 answers of five systems to Natural Questions in EVOUNA: kappa 0.63 (agreement 0.83), where
//! `SQuAD`'s exact words as a part of the answer come to 0.60 and its letters as a part to 0.65. Nearly all that it misses is other
//! wording; 119 of its 8,693 `correct` are wrong.

use std::collections::BTreeSet;

use engine::{Context, ParamMistake, StageError};

use super::grader::{self, Graded, Opening, Reader};
use crate::{
    part::settings,
    rows::{Grade, Question},
};

settings! {
    /// What only this judge takes.
    pub(crate) struct Params {
        /// The most words that an answer may have for `contains`; longer ones are not right.
        #[serde(skip_serializing_if = "Option::is_none")]
        most_words: Option<usize> = None,
    }
}

pub(super) struct Judge {
    idk: Vec<String>,
    most_words: usize,
}

impl grader::Judge for Judge {
    const NAME: &'static str = "contains";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "for sentences: an answer is right if a gold answer stands in it as whole words";
    const EXAMPLE: &'static str = "{ judge: contains, most_words: 50 }";
    type Params = Params;

    fn mistakes(params: &Params) -> Vec<ParamMistake> {
        let none = params.most_words == Some(0);
        none.then(|| ParamMistake::new(&["most_words"], "`most_words` must be at least 1", "for example 50"))
            .into_iter()
            .collect()
    }

    fn open(_: &Context, params: &Params, common: &Opening<'_>) -> Result<Self, StageError> {
        Ok(Self { idk: common.idk.to_vec(), most_words: params.most_words.unwrap_or(usize::MAX) })
    }
}

impl Reader for Judge {
    fn idk(&self) -> &[String] {
        &self.idk
    }

    fn read(&self, question: &Question, text: &str) -> Result<Graded, StageError> {
        let said = words(text);
        let found = |texts: &[String]| texts.iter().find(|text| stands_in(&words(text), &said)).cloned();
        let Some(gold) = found(&question.gold) else {
            return Ok(Graded::new(Grade::Incorrect, "contains no gold answer"));
        };
        let count = text.split_whitespace().count();
        if count > self.most_words {
            return Ok(Graded::new(Grade::Incorrect, format!("has {count} words, and {} are allowed", self.most_words)));
        }
        // A wrong text that is a part of the right one stands in every right answer.
        let outside = |wrong: &&String| !stands_in(&words(wrong), &words(&gold));
        if let Some(wrong) = question.wrong.iter().filter(outside).find(|wrong| stands_in(&words(wrong), &said)) {
            return Ok(Graded::new(Grade::Incorrect, format!("contains `{gold}`, and the wrong answer `{wrong}`")));
        }
        let graded = Graded::new(Grade::Correct, format!("contains `{gold}`"));
        Ok(if words(&gold).len() == said.len() { graded.firm() } else { graded })
    }
}

/// Returns whether words stand in an answer one after the other, and are not denied there.
fn stands_in(gold: &[String], said: &[String]) -> bool {
    const DENIALS: [&str; 8] = ["not", "isn't", "wasn't", "aren't", "never", "nor", "neither", "except"];
    if gold.is_empty() {
        return false;
    }
    said.windows(gold.len()).enumerate().any(|(at, window)| {
        let denied = at > 0 && DENIALS.contains(&said[at - 1].as_str());
        !denied && window.iter().zip(gold).all(|(said, gold)| is_word(said, gold))
    })
}

/// Returns whether a word of an answer is a word of the gold. The number of a footnote may stick to it, as in "Paris12".
fn is_word(said: &str, gold: &str) -> bool {
    let noted = |digits: &str| (1..=2).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    said == gold || gold.len() >= 4 && gold.chars().all(char::is_alphabetic) && said.strip_prefix(gold).is_some_and(noted)
}

/// Returns the words of a text that are compared.
fn words(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().flat_map(char::to_lowercase).map(plain).collect();
    let digit = |at: usize| characters.get(at).is_some_and(char::is_ascii_digit);
    let letter = |at: usize| characters.get(at).is_some_and(|character| character.is_alphanumeric());
    let mut words = Vec::new();
    let mut word = String::new();
    for (at, &character) in characters.iter().enumerate() {
        let before = |test: &dyn Fn(usize) -> bool| at > 0 && test(at - 1);
        let keeps = character.is_alphanumeric()
            || match character {
                '.' => digit(at + 1) && (before(&digit) || !before(&letter)),
                '\'' => before(&letter) && letter(at + 1),
                '+' | '#' => before(&letter) && !letter(at + 1) || at > 1 && characters[at - 1] == '+' && letter(at - 2),
                '-' => {
                    digit(at + 1) && !before(&letter) || characters.get(at + 1) == Some(&'.') && digit(at + 2) && !before(&letter)
                }
                '%' => before(&digit),
                _ => false,
            };
        if keeps {
            word.push(character);
            continue;
        }
        let groups = character == ',' && before(&digit) && (1..=3).all(|next| digit(at + next));
        if !groups && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
    }
    words.push(word);
    let articles = BTreeSet::from(["", "a", "an", "the"]);
    let kept: Vec<_> =
        words.iter().map(|word| word.strip_suffix("'s").unwrap_or(word)).filter(|word| !articles.contains(word)).collect();
    // A gold answer such as "A" or "The The" is not nothing.
    if kept.is_empty() {
        words.into_iter().filter(|word| !word.is_empty()).collect()
    } else {
        kept.into_iter().map(str::to_owned).collect()
    }
}

/// Returns a letter without its accent, and one form of dashes and quotes.
fn plain(character: char) -> char {
    match character {
        'à'..='å' | 'ā' | 'ă' | 'ą' => 'a',
        'ç' | 'ć' | 'č' => 'c',
        'ď' | 'đ' => 'd',
        'è'..='ë' | 'ē' | 'ę' | 'ě' => 'e',
        'ì'..='ï' | 'ī' | 'ı' => 'i',
        'ñ' | 'ń' | 'ň' => 'n',
        'ò'..='ö' | 'ø' | 'ō' | 'ő' => 'o',
        'ř' => 'r',
        'ś' | 'š' | 'ş' | 'ș' => 's',
        'ť' | 'ţ' | 'ț' => 't',
        'ù'..='ü' | 'ū' | 'ů' | 'ű' => 'u',
        'ý' | 'ÿ' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        'ł' => 'l',
        'ğ' => 'g',
        '−' | '–' | '—' | '‐' | '‑' => '-',
        '’' | '‘' => '\'',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gold_answer_stands_in_an_answer_as_whole_words() {
        for (said, gold) in [
            ("The capital of France is Paris.", "Paris"),
            ("It was named after Marie Curie in 1944.", "Marie Curie"),
            ("**Marie  Curie**", "marie curie"),
            ("It costs $1,234.50", "1234.50"),
            ("C++, of course", "C++"),
            ("written in C#.", "C#"),
            ("about -1.5 degrees", "-1.5"),
            ("12% of them", "12%"),
            ("Röntgen’s rays", "Rontgen"),
            ("in the United States of America", "United States of America"),
            ("It is the Beatles", "Beatles"),
            ("the cat", "the Cat"),
            ("1990–1995", "1990–1995"),
            ("played by Kate Walsh12.", "Kate Walsh"),
        ] {
            assert!(stands_in(&words(gold), &words(said)), "{gold} in {said}");
        }
        for (said, gold) in [
            ("not Barack Obama", "Barack Obama"),
            ("15", "1.5"),
            ("-1.5", "1.5"),
            ("1.55", "1.5"),
            ("C", "C++"),
            ("Parisian", "Paris"),
            ("Curie Marie", "Marie Curie"),
            ("12", "12%"),
            ("", "x"),
            ("x", ""),
            ("It isn't Paris", "Paris"),
            ("Apollo12", "Apollo11"),
        ] {
            assert!(!stands_in(&words(gold), &words(said)), "{gold} in {said}");
        }
    }
}
