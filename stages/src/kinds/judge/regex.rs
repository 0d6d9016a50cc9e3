//! Right is what a pattern of the manifest finds: with a group, its last text compared with the gold; without one, that it fits.

use engine::StageError;
use regex::Regex;

use super::{
    grader::{Judge, JudgeKind, does_not_know},
    squad::words,
};
use crate::rows::{Answer, Grade, Question};

pub(crate) const KIND: JudgeKind = JudgeKind {
    name: "regex",
    version: 1,
    reads_file: false,
    open: |_, settings| {
        let pattern = settings.pattern.ok_or_else(|| StageError::failed("judge `regex` needs a pattern"))?;
        Ok(Box::new(Fits { pattern: compile(pattern).map_err(StageError::failed)?, idk: settings.idk.to_vec() }))
    },
};

/// Patterns of more states than this are refused.
const LARGEST: usize = 1 << 20;

/// Compiles a pattern.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    regex::RegexBuilder::new(pattern).size_limit(LARGEST).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "the pattern is too large".to_owned(),
        other => other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
    })
}

struct Fits {
    pattern: Regex,
    idk: Vec<String>,
}

impl Judge for Fits {
    fn grade(&self, question: &Question, answer: &Answer) -> Result<(Grade, String), StageError> {
        let text = answer.text.as_deref().unwrap_or_default();
        let last = self.pattern.captures_iter(text).last();
        Ok(match last.map(|captures| captures.get(1).map(|group| group.as_str().to_owned())) {
            None if does_not_know(text, &self.idk) => (Grade::Idk, "says that it does not know".to_owned()),
            None => (Grade::Incorrect, "the pattern does not fit".to_owned()),
            Some(None) if self.pattern.captures_len() == 1 => (Grade::Correct, "the pattern fits".to_owned()),
            Some(None) => (Grade::Incorrect, "the pattern's group is empty".to_owned()),
            Some(Some(found)) => {
                let right = question.gold.iter().any(|gold| words(gold) == words(&found));
                (if right { Grade::Correct } else { Grade::Incorrect }, format!("says `{found}`"))
            }
        })
    }
}
