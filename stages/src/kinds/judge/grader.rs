//! What a judge is. Takes a question and an answer; gives a grade with its reason. A judge is one file, and one word in `list`.

use std::collections::BTreeMap;

use engine::{Ask, Context, ParamMistake, StageError};
use schemars::JsonSchema;
use serde::{Serialize, de::MapAccess};

use crate::{
    llm::{
        completion::Completion,
        providers::Source,
        request::{Reply, Settings},
    },
    part::{Filled, Part},
    rows::{Answer, Grade, Question},
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
    /// The judge reads verdicts from a file, and the file has none for this answer.
    fn grade(&self, question: &Question, answer: &Answer, replies: &[Reply]) -> Result<Option<(Grade, String)>, StageError>;

    /// Returns what a plan says of the judge.
    fn note(&self) -> Option<String> {
        None
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

/// Returns the grade of an answer that says that it does not know: it equals one of the texts, or contains one that has several words.
pub(crate) fn idk(text: &str, patterns: &[String]) -> Option<(Grade, String)> {
    let text = text.trim().to_lowercase().replace('’', "'");
    let text = text.trim_end_matches(['.', '!']);
    let says = text.is_empty()
        || patterns.iter().any(|pattern| text == pattern || pattern.contains(' ') && text.contains(pattern.as_str()));
    says.then(|| (Grade::Idk, "says that it does not know".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_does_not_know_says_so() {
        let patterns = IDK.map(str::to_owned);
        for text in ["Error", "I don’t know powers.", "", "Sorry, I am not sure about that"] {
            assert!(idk(text, &patterns).is_some(), "{text}");
        }
        for text in ["42", "The error was 3", "Terror"] {
            assert!(idk(text, &patterns).is_none(), "{text}");
        }
    }
}
