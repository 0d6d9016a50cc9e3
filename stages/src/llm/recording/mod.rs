//! Files of recorded answers. Takes a log, of this program's own form or of another's; gives rows with a question's names and, by model,
//! text, verdict and token counts.
//!
//! Read this file (a recording, and the reply that it becomes) first, then `lines` (texts by lines), `source` (where bytes come from),
//! `names` (which question is answered), `verdict` (how graders spell one), `log` (what a log of another program is) and `format` (which program wrote a file). Each of the others reads the files of one program, and is one word in the list of `format`.

mod format;
mod inspect;
mod lines;
mod lm_eval;
mod log;
mod names;
mod openai_evals;
mod promptfoo;
mod source;
mod verdict;

use std::collections::BTreeMap;

use engine::{Context, File, StageError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::request::Reply;
use crate::rows::{Grade, Outcome, Usage};

pub(crate) use lines::{lines, malformed};
pub(crate) use names::ByName;
pub(crate) use source::Source;

/// One question with what several models answered.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Recording {
    /// The question's id; empty, if the file has none of its own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The question's text, by which it is found where ids differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// The answers by model.
    #[serde(default)]
    pub answers: BTreeMap<String, Recorded>,
    /// The place in the file, for messages.
    #[serde(skip)]
    pub place: String,
}

/// The name of a model in a file that names none: it stands for every model.
pub(crate) const ANY_MODEL: &str = "";

/// One recorded answer. Token counts are real ones or, with the prefix `est_`, estimates.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Recorded {
    /// The answer, if it was published.
    #[serde(default)]
    pub text: Option<String>,
    /// The verdict of its grader, if it was graded.
    #[serde(default, deserialize_with = "verdict::read", skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Grade>,
    /// What became of the call; without it, that follows from `finish` and the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The reason why the model stopped, in the provider's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) input: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) thinking: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cached: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cache_write: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) est_in: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) est_out: Option<u64>,
}

impl Recorded {
    /// Returns the recorded answer as a reply of the model.
    pub(crate) fn reply(&self, model: &str) -> Reply {
        let text = self.text.clone().filter(|text| !text.trim().is_empty());
        // A verdict shows that there was an answer, even if its text was not published.
        let answered = text.is_some() || self.verdict.is_some();
        let finish = self.finish.clone().unwrap_or_default();
        let outcome = self.outcome.or_else(|| ended(&finish)).filter(|outcome| answered || *outcome != Outcome::Ok);
        Reply {
            text,
            outcome: outcome.unwrap_or(if answered { Outcome::Ok } else { Outcome::Empty }),
            finish,
            served: model.to_owned(),
            reasoning: String::new(),
            error: String::new(),
            usage: Usage {
                input: self.input.or(self.est_in).unwrap_or(0),
                output: self.output.or(self.est_out).unwrap_or(0),
                thinking: self.thinking.unwrap_or(0),
                cached: self.cached.unwrap_or(0),
                cache_write: self.cache_write.unwrap_or(0),
                estimated: self.input.is_none() && self.output.is_none(),
            },
        }
    }
}

/// Returns the outcome that a provider's word for the end of an answer means, unless the text decides.
fn ended(finish: &str) -> Option<Outcome> {
    match finish.to_ascii_lowercase().as_str() {
        "length" | "max_tokens" | "max_output_tokens" | "model_length" | "model_context_window_exceeded" => {
            Some(Outcome::Truncated)
        }
        "content_filter" | "safety" | "recitation" | "blocklist" | "prohibited_content" | "spii" => Some(Outcome::Blocked),
        "refusal" => Some(Outcome::Refused),
        "error" => Some(Outcome::Error),
        _ => None,
    }
}

/// Returns what a file says of a model: by its whole name, by the part behind the last slash if only one model ends so, or what the file
/// says of a model without a name.
pub(crate) fn of_model<'a, T>(answers: &'a BTreeMap<String, T>, model: &str) -> Option<&'a T> {
    let mut ends = answers.iter().filter(|(name, _)| name.strip_suffix(model).is_some_and(|rest| rest.ends_with('/')));
    let ends = match (ends.next(), ends.next()) {
        (Some((_, only)), None) => Some(only),
        _ => None,
    };
    answers.get(model).or(ends).or_else(|| answers.get(ANY_MODEL))
}

/// Reads the reply in a line of answers: in the line itself, or under `answers` by the model's name.
///
/// # Errors
/// A sentence, if there is no text or a field has a wrong type.
pub(crate) fn reply(model: &str, line: &Value) -> Result<Reply, String> {
    let recorded = match line.get("answers") {
        Some(answers) => {
            let answers = BTreeMap::<String, Value>::deserialize(answers).map_err(|error| error.to_string())?;
            of_model(&answers, model).cloned().ok_or_else(|| format!("there is no answer of `{model}` under `answers`"))?
        }
        None => line.clone(),
    };
    if recorded.get("text").is_none_or(|text| !text.is_string() && !text.is_null()) {
        return Err("the answer has no `text`".to_owned());
    }
    let recorded = Recorded::deserialize(recorded).map_err(|error| error.to_string())?;
    Ok(recorded.reply(model))
}

/// Reads a file of recordings, whichever program wrote it. An error names the file and the place in it.
pub(crate) fn read<'a>(ctx: &'a Context, file: &'a File) -> Result<Recordings<'a>, StageError> {
    format::read(Source::File(ctx, file))
}

/// Reads the recordings of a file outside of a pipeline.
pub(crate) fn read_path(path: &std::path::Path) -> Result<Recordings<'_>, StageError> {
    format::read(Source::Path(path))
}

/// Recordings in the order of their file.
pub(crate) type Recordings<'a> = Box<dyn Iterator<Item = Result<Recording, StageError>> + 'a>;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_outcome_is_kept_and_an_end_means_one() {
        let outcome = |line: Value| reply("m", &line).unwrap().outcome;
        assert_eq!(outcome(json!({ "text": "Par", "outcome": "truncated" })), Outcome::Truncated);
        assert_eq!(outcome(json!({ "text": "Par", "finish": "length" })), Outcome::Truncated);
        assert_eq!(outcome(json!({ "text": "Par", "finish": "MAX_TOKENS" })), Outcome::Truncated);
        assert_eq!(outcome(json!({ "text": "Par", "finish": "stop" })), Outcome::Ok);
        assert_eq!(outcome(json!({ "text": null, "finish": "SAFETY" })), Outcome::Blocked);
        assert_eq!(outcome(json!({ "text": null, "outcome": "ok" })), Outcome::Empty);
        assert_eq!(outcome(json!({ "text": null, "verdict": "correct" })), Outcome::Ok);
        let told = reply("m", &json!({ "text": "Par", "outcome": "cut" })).unwrap_err();
        assert!(told.contains("unknown variant `cut`"), "{told}");
    }

    #[test]
    fn a_model_is_found_by_its_name_or_its_end() {
        let answers = BTreeMap::from([("openai/a".to_owned(), 1), ("x/b".to_owned(), 2), ("y/b".to_owned(), 3)]);
        assert_eq!(of_model(&answers, "openai/a"), Some(&1));
        assert_eq!(of_model(&answers, "a"), Some(&1));
        assert_eq!(of_model(&answers, "b"), None);
        assert_eq!(of_model(&answers, "enai/a"), None);
        assert_eq!(of_model(&BTreeMap::from([(String::new(), 4)]), "a"), Some(&4));
    }
}
