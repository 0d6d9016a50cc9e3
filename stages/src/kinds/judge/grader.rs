//! What a judge is. Takes a question and an answer; gives a grade with its reason. A judge is one file, and one word in `list`.

use std::collections::BTreeMap;

use engine::{Ask, Context, ParamMistake, StageError};
use schemars::JsonSchema;
use serde::{Serialize, de::MapAccess};

use super::final_answer;
use crate::{
    llm::{
        completion::Completion,
        providers::Source,
        reasoning,
        request::{Reply, Settings},
    },
    part::{Filled, Part},
    rows::{Answer, Grade, Question, Unclear},
};

/// A kind of judge: its name, its own params, and how it is opened. A value of the type is an open judge.
pub(crate) trait Judge: Grader + Sized + 'static {
    /// The word after `judge:`.
    const NAME: &'static str;
    /// Raised when the judge grades anything differently.
    const VERSION: u32;
    /// What counts as right, in a sentence.
    const SUMMARY: &'static str;
    /// An example of what a manifest says under `with:`.
    const EXAMPLE: &'static str;
    /// The params that only this judge takes. No two judges have a param of the same name.
    type Params: Part + Clone + Default + PartialEq + Serialize + JsonSchema;

    /// Finds what is wrong with the judge's own params.
    fn mistakes(params: &Self::Params) -> Vec<ParamMistake> {
        let _ = params;
        Vec::new()
    }

    /// Returns the models that the judge asks: the param that names each, and the name.
    fn models(params: &Self::Params) -> Vec<(&'static str, &str)> {
        let _ = params;
        Vec::new()
    }

    /// Returns how these models are asked.
    fn settings(params: &Self::Params) -> Settings {
        let _ = params;
        Settings::default()
    }

    /// Opens the judge.
    ///
    /// # Errors
    /// A file that the params name cannot be read, or does not have what the judge needs.
    fn open(ctx: &Context, params: &Self::Params, common: &Opening<'_>) -> Result<Self, StageError>;
}

/// An open judge.
pub(crate) trait Grader: Send + Sync {
    /// Returns the requests to send next, given the replies so far; none once the judge has what it needs.
    fn units(&self, question: &Question, answer: &Answer, replies: &[Reply]) -> Vec<Ask<Completion>> {
        let _ = (question, answer, replies);
        Vec::new()
    }

    /// Grades an answer whose outcome is `ok`, and gives the reason. Returns `None` if no reply of the judge's models can be read.
    ///
    /// # Errors
    /// The judge reads verdicts from a file, and the file has none for this answer; or it reads texts, and the answer has none.
    fn grade(&self, question: &Question, answer: &Answer, replies: &[Reply]) -> Result<Option<Graded>, StageError>;

    /// Returns whether the judge reads the text of an answer, and has nothing to say of one without a text.
    fn reads_text(&self) -> bool {
        false
    }

    /// Returns what a plan says of the judge.
    fn note(&self) -> Option<String> {
        None
    }
}

/// A judge that reads the text of an answer and asks no model.
pub(crate) trait Reader: Send + Sync {
    /// Returns the texts by which an answer says that it does not know.
    fn idk(&self) -> &[String];

    /// Grades what an answer says, without its reasoning, whether or not it also says that it does not know.
    ///
    /// # Errors
    /// The question has no gold answer that the judge can compare with.
    fn read(&self, question: &Question, text: &str) -> Result<Graded, StageError>;
}

impl<R: Reader> Grader for R {
    fn grade(&self, question: &Question, answer: &Answer, _: &[Reply]) -> Result<Option<Graded>, StageError> {
        let (_, said) = reasoning::split(answer.text.as_deref().unwrap_or_default());
        if said.trim().is_empty() {
            return Ok(Some(Graded::new(Grade::Idk, "gives no answer")));
        }
        let graded = self.read(question, &said)?;
        let doubts = !graded.firm && does_not_know(&said, self.idk());
        Ok(Some(if doubts { Graded::new(Grade::Idk, "says that it does not know") } else { graded }))
    }

    fn reads_text(&self) -> bool {
        true
    }
}

/// A grade with its reason.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Graded {
    pub grade: Grade,
    pub reason: String,
    /// Why the answer could not be read as one, if that decided the grade.
    pub unclear: Option<Unclear>,
    /// Whether it rests on what the answer gives as its answer, which a doubt elsewhere in the text does not undo.
    firm: bool,
}

impl Graded {
    pub(crate) fn new(grade: Grade, reason: impl Into<String>) -> Self {
        Self { grade, reason: reason.into(), unclear: None, firm: false }
    }

    pub(crate) fn unclear(self, unclear: Unclear) -> Self {
        Self { unclear: Some(unclear), ..self }
    }

    pub(crate) fn firm(self) -> Self {
        Self { firm: true, ..self }
    }
}

impl From<(Grade, String)> for Graded {
    fn from((grade, reason): (Grade, String)) -> Self {
        Self::new(grade, reason)
    }
}

/// What every judge is opened with besides its own params.
pub(crate) struct Opening<'a> {
    /// Texts by which an answer says that it does not know.
    pub idk: &'a [String],
    /// The providers of the judge's models, by name.
    pub providers: &'a BTreeMap<String, Source>,
    /// The settings of each model.
    pub settings_of: &'a BTreeMap<String, Settings>,
}

/// The params of a judge that has none of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub(crate) struct NoParams {}

impl Part for NoParams {
    fn set<'de, A: MapAccess<'de>>(&mut self, _: &str, _: &mut A) -> Result<bool, A::Error> {
        Ok(false)
    }

    fn names() -> Vec<(&'static str, Filled)> {
        Vec::new()
    }
}

/// Texts by which an answer says that it does not know, unless the manifest lists others.
pub(crate) const IDK: [&str; 9] = [
    "error",
    "i don't know",
    "i do not know",
    "idk",
    "i'm not sure",
    "i am not sure",
    "cannot answer",
    "can't answer",
    "unable to answer",
];

/// Returns whether an answer says that it does not know: it equals one of the texts, or contains one that has several words, and does
/// not end in a marked answer that says something else.
fn does_not_know(text: &str, patterns: &[String]) -> bool {
    let lower = |text: &str| text.trim().trim_matches(['*', '"', '`']).to_lowercase().replace('’', "'");
    let says = |text: &str| {
        let text = lower(text);
        let whole = text.trim_end_matches(['.', '!']);
        patterns
            .iter()
            .map(|pattern| lower(pattern))
            .any(|pattern| whole == pattern || pattern.contains(' ') && text.contains(&pattern))
    };
    says(text) && final_answer::find(text).is_none_or(|answer| says(&answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_does_not_know_says_so() {
        let patterns = IDK.map(str::to_owned);
        for text in [
            "Error",
            "I don’t know powers.",
            "**I don't know**",
            "Sorry, I am not sure about that",
            "It may be 3 or 4.\nThe answer is: I don't know",
            "I cannot answer. The final answer is that I don't know.",
        ] {
            assert!(does_not_know(text, &patterns), "{text}");
        }
        for text in [
            "42",
            "The error was 3",
            "Terror",
            "I'm not sure I multiplied right, so again: 6*7=42.\n#### 42",
            "I don't know it by heart. \\boxed{42}",
            "One cannot answer without the rate; it is 3. The answer is 42.",
        ] {
            assert!(!does_not_know(text, &patterns), "{text}");
        }
    }
}
