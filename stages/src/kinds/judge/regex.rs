//! The judge `regex`: right is an answer in which the manifest's pattern matches. Takes a question and an answer; gives a grade.
//!
//! If the pattern has a group, the group's text in the last match has to be a gold answer too: as it is written, spaces around it aside,
//! or with `normalise: true` as `squad` compares.

use engine::{Context, ParamMistake, StageError};
use regex::Regex;

use super::{
    grader::{self, Graded, Opening, Reader},
    squad::words,
};
use crate::{
    defaults::is_default,
    part::settings,
    rows::{Grade, Question, Unclear},
};

settings! {
    /// What only this judge takes.
    pub(crate) struct Params {
        /// The pattern that `regex` looks for; the text of its group is compared with the gold.
        #[serde(skip_serializing_if = "Option::is_none")]
        pattern: Option<String> = None,
        /// Whether `regex` compares the group with the gold in lower case and without punctuation and articles, as `squad` does. Then
        /// "1.5" equals "15", and "C++" equals "C".
        #[serde(skip_serializing_if = "is_default")]
        normalise: bool = false,
    }
}

/// The size in bytes above which a compiled pattern is refused.
const LARGEST: usize = 1 << 20;

/// Compiles a pattern.
///
/// # Errors
/// A sentence that says what is wrong with the pattern.
fn compile(pattern: &str) -> Result<Regex, String> {
    regex::RegexBuilder::new(pattern).size_limit(LARGEST).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "the pattern is too large".to_owned(),
        other => other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
    })
}

pub(super) struct Judge {
    pattern: Regex,
    normalise: bool,
    idk: Vec<String>,
}

impl grader::Judge for Judge {
    const NAME: &'static str = "regex";
    const VERSION: u32 = 2;
    const SUMMARY: &'static str =
        "an answer is right if a pattern fits it, or if what the pattern's group finds is a gold answer";
    const EXAMPLE: &'static str = "{ judge: regex, pattern: 'Answer: (.+)' }";
    type Params = Params;

    fn mistakes(params: &Params) -> Vec<ParamMistake> {
        let found = match params.pattern.as_deref().map(compile) {
            Some(Ok(_)) => None,
            None => {
                Some(ParamMistake::new(&["judge"], "judge `regex` looks for a pattern, and none is given", "add `pattern: '…'`"))
            }
            Some(Err(error)) => Some(ParamMistake::new(
                &["pattern"],
                format!("the pattern cannot be read: {error}"),
                "correct it; a backslash needs single quotes around the text",
            )),
        };
        found.into_iter().collect()
    }

    fn open(_: &Context, params: &Params, common: &Opening<'_>) -> Result<Self, StageError> {
        let pattern = params.pattern.as_deref().ok_or_else(|| StageError::failed("judge `regex` needs a pattern"))?;
        Ok(Self { pattern: compile(pattern).map_err(StageError::failed)?, normalise: params.normalise, idk: common.idk.to_vec() })
    }
}

impl Reader for Judge {
    fn idk(&self) -> &[String] {
        &self.idk
    }

    fn read(&self, question: &Question, text: &str) -> Result<Graded, StageError> {
        let last = self.pattern.captures_iter(text).last();
        Ok(match last.map(|captures| captures.get(1).map(|group| group.as_str().to_owned())) {
            None => Graded::new(Grade::Incorrect, "the pattern does not fit").unclear(Unclear::Unreadable),
            Some(None) if self.pattern.captures_len() == 1 => Graded::new(Grade::Correct, "the pattern fits").firm(),
            Some(None) => Graded::new(Grade::Incorrect, "the pattern's group is empty").firm(),
            Some(Some(found)) => {
                let right = question.gold.iter().any(|gold| self.equal(gold, &found));
                Graded::new(if right { Grade::Correct } else { Grade::Incorrect }, format!("says `{found}`")).firm()
            }
        })
    }
}

impl Judge {
    fn equal(&self, gold: &str, found: &str) -> bool {
        if self.normalise { words(gold) == words(found) } else { gold.trim() == found.trim() }
    }
}
