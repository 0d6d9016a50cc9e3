//! The judge `f1`: right is what says enough of a gold answer's words, by F1 over the words that `squad` compares. Takes a question and an
//! answer; gives a grade.

use std::collections::BTreeMap;

use engine::{Context, ParamMistake, StageError};

use super::{
    grader::{self, Graded, Opening, Reader},
    squad::words,
};
use crate::{
    part::settings,
    rows::{Grade, Question},
};

/// The threshold unless the manifest gives one.
const THRESHOLD: f64 = 0.5;

settings! {
    /// What only this judge takes.
    pub(crate) struct Params {
        /// The least F1 with a gold answer that counts as right, for `f1` [default: 0.5].
        #[serde(skip_serializing_if = "Option::is_none")]
        threshold: Option<f64> = None,
    }
}

pub(super) struct Judge {
    idk: Vec<String>,
    threshold: f64,
}

impl grader::Judge for Judge {
    const NAME: &'static str = "f1";
    const VERSION: u32 = 2;
    const SUMMARY: &'static str =
        "for short answers, not for sentences: an answer is right if its words overlap enough with those of a gold answer, by F1";
    const EXAMPLE: &'static str = "{ judge: f1, threshold: 0.5 }";
    type Params = Params;

    fn mistakes(params: &Params) -> Vec<ParamMistake> {
        let wrong = params.threshold.is_some_and(|threshold| !(0.0..=1.0).contains(&threshold));
        wrong
            .then(|| ParamMistake::new(&["threshold"], "`threshold` must be between 0 and 1", "for example 0.5"))
            .into_iter()
            .collect()
    }

    fn open(_: &Context, params: &Params, common: &Opening<'_>) -> Result<Self, StageError> {
        Ok(Self { idk: common.idk.to_vec(), threshold: params.threshold.unwrap_or(THRESHOLD) })
    }
}

impl Reader for Judge {
    fn idk(&self) -> &[String] {
        &self.idk
    }

    fn read(&self, question: &Question, text: &str) -> Result<Graded, StageError> {
        let said = words(text);
        let best = |texts: &[String]| texts.iter().map(|text| f1(&said, &words(text))).fold(0.0, f64::max);
        let (right, wrong) = (best(&question.gold), best(&question.wrong));
        let beside = if wrong >= right && wrong > 0.0 { format!(", and {wrong:.2} with a wrong answer") } else { String::new() };
        let reason = format!("F1 {right:.2}{beside}");
        Ok(if right >= self.threshold && right > wrong {
            let graded = Graded::new(Grade::Correct, reason);
            if right == 1.0 { graded.firm() } else { graded }
        } else {
            Graded::new(Grade::Incorrect, reason)
        })
    }
}

/// Returns the harmonic mean of precision and recall over words, from 0 to 1; 1 if both texts have no words.
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
    fn f1_counts_each_word_as_often_as_both_have_it() {
        let of = |said: &str, gold: &str| f1(&words(said), &words(gold));
        assert_eq!(of("Paris, France", "Paris"), 2.0 / 3.0);
        assert_eq!(of("x x y", "x y y"), 4.0 / 6.0);
        assert_eq!((of("", "the"), of("x", "")), (1.0, 0.0));
    }
}
