//! Errors of single answers. Takes each answer; gives an error that stops the stage as soon as there are more than the manifest allows.
//!
//! Only what concerns one prompt comes here: a provider refuses it, or has no answer to it. A wrong key or an unknown model stops the stage
//! before.

use std::{
    borrow::Cow,
    sync::atomic::{AtomicU64, Ordering},
};

use engine::{Context, StageError};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::rows::{Answer, Outcome};

/// What happens when a provider refuses a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnError {
    /// The stage stops, with the provider's words.
    Stop,
    /// The answer is marked as `error`, with the provider's words, and the stage goes on.
    #[default]
    Mark,
}

/// How many answers may be errors: a number, or a share of all.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum MaxErrors {
    Number(u64),
    Share(f64),
}

impl Default for MaxErrors {
    fn default() -> Self {
        Self::Share(0.01)
    }
}

impl MaxErrors {
    /// Returns how many of `all` answers may be errors. A share above 0 allows at least one.
    fn of(self, all: u64) -> u64 {
        match self {
            Self::Number(number) => number,
            Self::Share(share) if share > 0.0 => ((all as f64 * share) as u64).max(1),
            Self::Share(_) => 0,
        }
    }
}

impl<'de> Deserialize<'de> for MaxErrors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Share(f64),
            Text(String),
        }
        let wrong = || D::Error::custom("it is a number of answers, such as `5`, or a share of them, such as `0.02` or `2%`");
        let share = match Written::deserialize(deserializer).map_err(|_| wrong())? {
            Written::Number(number) => return Ok(Self::Number(number)),
            Written::Share(share) => share,
            Written::Text(text) => {
                let percent = text.trim().strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
                percent.ok_or_else(wrong)? / 100.0
            }
        };
        if (0.0..=1.0).contains(&share) { Ok(Self::Share(share)) } else { Err(wrong()) }
    }
}

impl JsonSchema for MaxErrors {
    fn schema_name() -> Cow<'static, str> {
        "MaxErrors".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "number", "minimum": 0 }, { "type": "string", "pattern": "^ *[0-9.]+ *%$" }] })
    }
}

/// Counts the answers that are errors.
pub(crate) struct Errors {
    ctx: Context,
    /// The most that there may be.
    most: u64,
    all: u64,
    so_far: AtomicU64,
}

impl Errors {
    /// Starts a count for this many answers.
    pub(crate) fn new(ctx: &Context, on_error: OnError, max_errors: MaxErrors, all: u64) -> Self {
        let most = if on_error == OnError::Stop { 0 } else { max_errors.of(all) };
        Self { ctx: ctx.clone(), most, all, so_far: AtomicU64::new(0) }
    }

    /// Counts an answer.
    ///
    /// # Errors
    /// It is an error, and there are more errors than may be.
    pub(crate) fn count(&self, answer: &Answer) -> Result<(), StageError> {
        if answer.outcome != Outcome::Error {
            return Ok(());
        }
        let so_far = self.so_far.fetch_add(1, Ordering::Relaxed) + 1;
        if so_far <= self.most {
            return Ok(());
        }
        let said = if answer.error.is_empty() { "it has no answer to it" } else { &answer.error };
        let more = match self.most {
            0 => String::new(),
            most => format!("; {so_far} of {} answers are such errors, and {most} may be", self.all),
        };
        Err(StageError::environment(format!(
            "question `{}`: `{}` refuses this prompt: {said}{more}",
            answer.id, answer.asked
        )).help(
            "take the question out, or let such answers be marked: `on_error: mark` with `max_errors: NUMBER` or a share such as `0.05`",
        ))
    }

    /// Says how many answers are errors, if any is.
    pub(crate) fn finish(&self) {
        let errors = self.so_far.load(Ordering::Relaxed);
        if errors > 0 {
            self.ctx.warn(format!(
                "{errors} of {} answers are errors: the provider refused the prompt, in the words under `error`; `--retry-errors` asks again",
                self.all
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_number_and_a_share_allows_at_least_one() {
        for (written, all, most) in [
            ("0", 1000, 0),
            ("5", 10, 5),
            ("0.01", 12, 1),
            ("0.01", 1000, 10),
            ("2%", 1000, 20),
            ("0.0", 1000, 0),
            ("1.0", 1000, 1000),
        ] {
            let read: MaxErrors = serde_yaml_like(written).expect(written);
            assert_eq!(read.of(all), most, "{written} of {all}");
        }
        for written in ["-1", "1.5", "many", "200%", "NaN%"] {
            assert!(serde_yaml_like(written).is_err(), "{written}");
        }
        assert_eq!(MaxErrors::default().of(99), 1);
    }

    /// Reads a number as one, and anything else as a text.
    fn serde_yaml_like(written: &str) -> Result<MaxErrors, serde_json::Error> {
        serde_json::from_str(written).or_else(|_| serde_json::from_value(written.into()))
    }
}
