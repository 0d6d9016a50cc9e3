//! A question and an answer → a grade with its reason. One file a judge.

use engine::{Context, File, StageError};

use crate::rows::{Answer, Grade, Question};

/// A judge that needs no call.
pub(crate) trait Judge: Send + Sync {
    /// Grades an answer whose outcome is `ok`.
    fn grade(&self, question: &Question, answer: &Answer) -> Result<(Grade, String), StageError>;
}

/// What a judge is opened with.
pub(crate) struct Settings<'a> {
    /// The verdicts that `recorded` takes.
    pub file: Option<&'a File>,
    /// How far `numeric` lets a number be from the gold.
    pub tolerance: f64,
    /// The same as a share of the gold.
    pub relative_tolerance: f64,
    /// How much of a gold answer `f1` wants to be said.
    pub threshold: f64,
    /// What `regex` looks for.
    pub pattern: Option<&'a str>,
    /// What an answer says that does not know.
    pub idk: &'a [String],
}

/// A kind of judge: the word after `judge:`.
pub(crate) struct JudgeKind {
    /// The word.
    pub name: &'static str,
    /// Raised when it grades anything differently.
    pub version: u32,
    /// Whether it reads a file.
    pub reads_file: bool,
    /// Opens the judge.
    pub open: fn(ctx: &Context, settings: &Settings<'_>) -> Result<Box<dyn Judge>, StageError>,
}

/// What an answer says that does not know, where the manifest says nothing.
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

/// Whether a text says that it does not know: it is one of the patterns, or begins with one, or has a longer one inside.
pub(crate) fn does_not_know(text: &str, idk: &[String]) -> bool {
    let text = text.trim().to_lowercase().replace('’', "'");
    let text = text.trim_end_matches(['.', '!']);
    text.is_empty() || idk.iter().any(|pattern| text == pattern || pattern.contains(' ') && text.contains(pattern.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_does_not_know_says_so() {
        let idk = IDK.map(str::to_owned);
        for text in ["Error", "I don’t know powers.", "", "Sorry, I am not sure about that"] {
            assert!(does_not_know(text, &idk), "{text}");
        }
        for text in ["42", "The error was 3", "Terror"] {
            assert!(!does_not_know(text, &idk), "{text}");
        }
    }
}
