//! Right is what says the same words as a gold answer after `SQuAD`'s normalisation (Rajpurkar et al. 2016): lower case, no
//! punctuation, no articles, single spaces. `squad` wants all words in their order; `f1` a share of them.

use std::collections::BTreeMap;

use super::grader::{Judge, JudgeKind, does_not_know};
use crate::rows::{Answer, Grade, Question};

pub(crate) const SQUAD: JudgeKind = JudgeKind {
    name: "squad",
    version: 1,
    reads_file: false,
    open: |_, settings| Ok(Box::new(Squad { idk: settings.idk.to_vec() })),
};

pub(crate) const F1: JudgeKind = JudgeKind {
    name: "f1",
    version: 1,
    reads_file: false,
    open: |_, settings| Ok(Box::new(F1Judge { idk: settings.idk.to_vec(), threshold: settings.threshold })),
};

struct Squad {
    idk: Vec<String>,
}

struct F1Judge {
    idk: Vec<String>,
    threshold: f64,
}

impl Judge for Squad {
    fn grade(&self, question: &Question, answer: &Answer) -> Result<(Grade, String), engine::StageError> {
        let text = answer.text.as_deref().unwrap_or_default();
        if does_not_know(text, &self.idk) {
            return Ok((Grade::Idk, "says that it does not know".to_owned()));
        }
        let said = words(text);
        Ok(match question.gold.iter().find(|gold| words(gold) == said) {
            Some(gold) => (Grade::Correct, format!("says `{gold}`")),
            None => (Grade::Incorrect, "says no gold answer".to_owned()),
        })
    }
}

impl Judge for F1Judge {
    fn grade(&self, question: &Question, answer: &Answer) -> Result<(Grade, String), engine::StageError> {
        let text = answer.text.as_deref().unwrap_or_default();
        if does_not_know(text, &self.idk) {
            return Ok((Grade::Idk, "says that it does not know".to_owned()));
        }
        let said = words(text);
        let best = |texts: &[String]| texts.iter().map(|text| f1(&said, &words(text))).fold(0.0, f64::max);
        let (right, wrong) = (best(&question.gold), best(&question.wrong));
        let grade = if right >= self.threshold && right > wrong { Grade::Correct } else { Grade::Incorrect };
        Ok((
            grade,
            format!(
                "F1 {right:.2}{}",
                if wrong >= right && wrong > 0.0 { format!(", and {wrong:.2} with a wrong answer") } else { String::new() }
            ),
        ))
    }
}

/// The words that count.
pub(crate) fn words(text: &str) -> Vec<String> {
    let kept: String = text.to_lowercase().chars().filter(|character| !character.is_ascii_punctuation()).collect();
    kept.split_whitespace().filter(|word| !["a", "an", "the"].contains(word)).map(str::to_owned).collect()
}

/// The harmonic mean of precision and recall over words; 1 where both have none.
fn f1(said: &[String], gold: &[String]) -> f64 {
    if said.is_empty() || gold.is_empty() {
        return f64::from(u8::from(said.is_empty() && gold.is_empty()));
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for word in gold {
        *counts.entry(word).or_default() += 1;
    }
    let mut common = 0;
    for word in said {
        if let Some(count) = counts.get_mut(word.as_str()).filter(|count| **count > 0) {
            *count -= 1;
            common += 1;
        }
    }
    2.0 * f64::from(common) / (said.len() + gold.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_normalised_as_squad_does() {
        assert_eq!(words("The Cat's  hat, an \"A\"!"), ["cats", "hat"]);
        assert_eq!(words("a b.c"), ["bc"]);
    }

    #[test]
    fn f1_counts_each_word_as_often_as_both_have_it() {
        let of = |said: &str, gold: &str| f1(&words(said), &words(gold));
        assert_eq!(of("Paris, France", "Paris"), 2.0 / 3.0);
        assert_eq!(of("x x y", "x y y"), 4.0 / 6.0);
        assert_eq!((of("", "the"), of("x", "")), (1.0, 0.0));
    }
}
