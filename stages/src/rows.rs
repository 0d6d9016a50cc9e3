//! The rows that flow between stages, in that order: questions, answers, verdicts, analyses, labels, examples, predictions.
//!
//! They are a public format: fields may be added and are never renamed.

use std::{collections::BTreeMap, fmt, str::FromStr};

use engine::Row;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Which part of a benchmark a question is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// For training.
    Train,
    /// For choosing settings.
    Validation,
    /// Held out: what is reported is measured on these.
    Test,
}

/// A question and what answers it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Question {
    /// Stable, and unlike any other in the dataset.
    pub id: String,
    /// The text that models see.
    pub question: String,
    /// Every text that counts as right.
    pub gold: Vec<String>,
    /// The texts to choose from, in order, where it is a multiple choice; the gold is then a letter, `A` the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// Texts that are known to be wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wrong: Vec<String>,
    /// Where the question is from.
    pub benchmark: String,
    /// Equal questions are in one split.
    pub split: Split,
    /// Whatever else the benchmark says.
    #[serde(default)]
    pub meta: Map<String, Value>,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A whole answer; the only one that is judged.
    Ok,
    /// Cut at the cap.
    Truncated,
    /// Blocked by the provider.
    Blocked,
    /// Refused by the model.
    Refused,
    /// No text.
    Empty,
    /// Another model served than the one that was pinned.
    ModelSwapped,
    /// Refused by the provider with an error, such as a prompt that is too long.
    Error,
}

impl Outcome {
    /// Returns the word that rows have for it.
    pub(crate) fn word(self) -> String {
        serde_json::to_value(self).ok().and_then(|word| Some(word.as_str()?.to_owned())).unwrap_or_default()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn nothing(number: &u64) -> bool {
    *number == 0
}

/// Tokens that a call used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Tokens of the prompt.
    #[serde(default)]
    pub input: u64,
    /// Tokens of the answer.
    #[serde(default)]
    pub output: u64,
    /// Tokens of hidden reasoning.
    #[serde(default)]
    pub thinking: u64,
    /// Tokens of the prompt that the provider had cached.
    #[serde(default)]
    pub cached: u64,
    /// Tokens of the prompt that the provider put into its cache, where that has a price of its own.
    #[serde(default, skip_serializing_if = "nothing")]
    pub cache_write: u64,
    /// Whether these are estimates.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
}

impl Usage {
    /// Returns the number of all tokens.
    pub(crate) fn total(&self) -> u64 {
        self.input.saturating_add(self.output).saturating_add(self.thinking)
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        self.thinking = self.thinking.saturating_add(other.thinking);
        self.cached = self.cached.saturating_add(other.cached);
        self.cache_write = self.cache_write.saturating_add(other.cache_write);
        self.estimated = self.estimated || other.estimated;
    }
}

/// One model's answer to one question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// The question's id.
    pub id: String,
    /// The role: `medium`, `large`.
    pub model: String,
    /// The model that was asked, as `provider/name`: what prices are looked up by.
    pub asked: String,
    /// The answer; null where there is none.
    pub text: Option<String>,
    /// What became of the call.
    pub outcome: Outcome,
    /// The model's name as its provider gave it.
    pub served: String,
    /// Tokens used.
    pub usage: Usage,
    /// The provider's words, where the outcome is `error`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
}

/// Whether an answer is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// It says what the gold says.
    Correct,
    /// It says something else.
    Incorrect,
    /// It does not say.
    Idk,
}

impl Grade {
    /// All grades.
    pub const ALL: [Self; 3] = [Self::Correct, Self::Incorrect, Self::Idk];
}

impl fmt::Display for Grade {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Correct => "correct",
            Self::Incorrect => "incorrect",
            Self::Idk => "idk",
        })
    }
}

impl FromStr for Grade {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|grade| grade.to_string() == text)
            .ok_or_else(|| format!("`{text}` is none of correct, incorrect, idk"))
    }
}

/// A judge's word on one answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// The question's id.
    pub id: String,
    /// The role whose answer it is.
    pub model: String,
    /// The word.
    pub verdict: Grade,
    /// Why.
    pub reason: String,
    /// Why the answer could not be read as one, where that decided the verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unclear: Option<Unclear>,
    /// The question's split.
    pub split: Split,
}

/// Why an answer cannot be read as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unclear {
    /// It gives several answers, and says of none that it is the one.
    Several,
    /// Nothing in it has the form that its judge reads.
    Unreadable,
}

/// What a question alone shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Analysis {
    /// The question's id.
    pub id: String,
    /// Facts by name.
    pub features: BTreeMap<String, Value>,
    /// The facts in words, as a reasoning chain.
    pub reasoning: String,
}

/// Which policy is right for a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Label {
    /// The question's id.
    pub id: String,
    /// The verdicts by role.
    pub verdicts: BTreeMap<String, Grade>,
    /// The verdicts in order of cost: `correct/idk`.
    pub cell: String,
    /// The policy's name.
    pub policy: String,
    /// The question's split.
    pub split: Split,
}

/// One turn of a conversation, as chat templates read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// The text.
    pub content: String,
}

impl Message {
    /// A turn of the given role.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into() }
    }
}

/// An example for supervised fine-tuning; the loss is on the completion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SftExample {
    /// The question's id; one question may have several examples.
    pub id: String,
    /// What the model sees.
    pub prompt: Vec<Message>,
    /// What it is to say.
    pub completion: Vec<Message>,
}

/// An example for direct preference optimisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DpoExample {
    /// The question's id.
    pub id: String,
    /// What the model sees.
    pub prompt: Vec<Message>,
    /// What it is to say.
    pub chosen: Vec<Message>,
    /// What it is not to say.
    pub rejected: Vec<Message>,
}

/// A router's decision on one held-out question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Prediction {
    /// The question's id.
    pub id: String,
    /// The policy that the router chose.
    pub policy: String,
    /// The probability of each policy.
    pub scores: BTreeMap<String, f64>,
    /// The role that the policy sends the question to.
    pub model: String,
    /// What that role's answer was judged; null where it has no verdict.
    pub verdict: Option<Grade>,
    /// The router's own tokens.
    pub usage: Usage,
}

macro_rules! rows {
    ($($row:ident = $name:literal),* $(,)?) => {
        $(impl Row for $row { const NAME: &'static str = $name; })*

        /// Adds every type of row to a registry.
        pub(crate) fn register(registry: engine::Registry) -> engine::Registry {
            registry$(.row::<$row>())*
        }

        /// Returns the dataset type of every type of row.
        pub(crate) fn types() -> Vec<engine::Type> {
            vec![$(engine::Type::dataset::<$row>()),*]
        }
    };
}

rows! {
    Question = "question", Answer = "answer", Verdict = "verdict", Analysis = "analysis", Label = "label",
    SftExample = "sft_example", DpoExample = "dpo_example", Prediction = "prediction",
}
