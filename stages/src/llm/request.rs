//! Requests to models, their settings, and the replies. They know nothing of providers, whose code takes requests and gives replies.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    defaults::is_default,
    rows::{Message, Outcome, Usage},
};

/// All that a call can see: a model, settings and a prompt; never a role, a gold answer or another model's answer.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Request {
    /// The protocol: a kind of provider.
    pub provider: &'static str,
    /// The version of the protocol's code.
    pub version: u32,
    /// The server's address; for a checkpoint on this machine, the digest of its files.
    pub base_url: String,
    /// The model's name at the provider.
    pub model: String,
    pub settings: Settings,
    pub prompt: Vec<Message>,
    /// The query of the address.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// What the server's form of the protocol has of its own.
    #[serde(skip_serializing_if = "is_default")]
    pub dialect: Dialect,
    /// Distinguishes requests that are equal otherwise: votes, and requests that are sent again after an empty answer.
    #[serde(skip_serializing_if = "is_default")]
    pub sample: u32,
    /// The provider's name in the manifest, whose key and limits the call uses. It changes no reply.
    #[serde(skip)]
    pub account: String,
}

/// How a server writes what protocols of one kind write differently; what is left open is as the model's family has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Dialect {
    /// Whether the cap is called `max_completion_tokens`, and not `max_tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_completion_tokens: Option<bool>,
    /// The role in which the system prompt is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_role: Option<SystemRole>,
    /// Whether a JSON object is asked for in place of a schema.
    #[serde(skip_serializing_if = "is_default")]
    pub json_object: bool,
}

/// The role in which a system prompt is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SystemRole {
    /// A turn of its own.
    System,
    /// A turn of its own, in the name that `OpenAI` gives it for models that reason.
    Developer,
    /// The beginning of the first turn of the user, for models that know no system prompt.
    User,
}

/// By how much the cap grows when a truncated reply is asked for again.
const LARGER_CAP: u32 = 4;

impl Request {
    /// Returns the request with the cap that it has after this many truncated replies to it.
    pub(crate) fn with_larger_cap(mut self, truncated: u32) -> Self {
        let cap = &mut self.settings.max_output_tokens;
        *cap = cap.map(|cap| cap.saturating_mul(LARGER_CAP.saturating_pow(truncated)));
        self
    }

    /// Returns the turns in the roles that the server takes.
    pub(crate) fn turns(&self) -> Vec<Message> {
        let is_system = |message: &&Message| message.role == "system";
        match self.dialect.system_role {
            None | Some(SystemRole::System) => self.prompt.clone(),
            Some(SystemRole::Developer) => {
                let renamed = |message: &Message| {
                    let role = if is_system(&message) { "developer" } else { message.role.as_str() };
                    Message::new(role, message.content.clone())
                };
                self.prompt.iter().map(renamed).collect()
            }
            Some(SystemRole::User) => {
                let system: Vec<_> = self.prompt.iter().filter(is_system).map(|message| message.content.as_str()).collect();
                let mut turns: Vec<_> = self.prompt.iter().filter(|message| !is_system(message)).cloned().collect();
                if system.is_empty() {
                    return turns;
                }
                let system = system.join("\n\n");
                match turns.iter().position(|message| message.role == "user") {
                    Some(first) => turns[first].content = format!("{system}\n\n{}", turns[first].content),
                    None => turns.insert(0, Message::new("user", system)),
                }
                turns
            }
        }
    }
}

/// Settings of a request; what is left open is the provider's affair.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The most tokens that the answer may have, hidden reasoning included where the provider counts it [default: 1024, and 8192
    /// for models that reason].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    /// How far sampling strays from the likeliest token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// The share of probability that tokens are sampled from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// What sampling starts from, where the provider has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Texts that end the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// The most tokens of hidden reasoning; 0 turns it off where that can be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<u32>,
    /// How much a model reasons, in the provider's own word: `low`, `medium`, `high`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
    /// The JSON schema that the answer keeps to, where the provider can see to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// Further fields of the request's body, as the server has them: `{ chat_template_kwargs: { enable_thinking: false } }`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

impl Settings {
    /// Returns these settings, overridden by those that `other` sets.
    pub(crate) fn with(&self, other: &Self) -> Self {
        let other = other.clone();
        Self {
            max_output_tokens: other.max_output_tokens.or(self.max_output_tokens),
            temperature: other.temperature.or(self.temperature),
            top_p: other.top_p.or(self.top_p),
            seed: other.seed.or(self.seed),
            stop: if other.stop.is_empty() { self.stop.clone() } else { other.stop },
            thinking: other.thinking.or(self.thinking),
            reasoning_effort: other.reasoning_effort.or_else(|| self.reasoning_effort.clone()),
            schema: other.schema.or_else(|| self.schema.clone()),
            extra: self.extra.clone().into_iter().chain(other.extra).collect(),
        }
    }
}

/// The reply to a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reply {
    /// The text; null if there is none.
    pub text: Option<String>,
    /// What became of the call.
    pub outcome: Outcome,
    /// The reason why the model stopped, in the provider's word.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub finish: String,
    /// The model's name as the provider gave it.
    pub served: String,
    /// Tokens used.
    pub usage: Usage,
    /// What the model wrote before its answer, or beside it, as reasoning. It is paid for, and no judge sees it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reasoning: String,
    /// The provider's words, if it refused the prompt.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
}

impl Reply {
    /// Returns a reply without text, from a model that is not called or was not reached.
    pub(crate) fn without_text(outcome: Outcome, served: &str) -> Self {
        Self {
            text: None,
            outcome,
            finish: String::new(),
            served: served.to_owned(),
            usage: Usage::default(),
            reasoning: String::new(),
            error: String::new(),
        }
    }
}

/// Estimates the number of a prompt's tokens, at four bytes a token, as in English.
pub(crate) fn estimated_tokens(prompt: &[Message]) -> u64 {
    prompt.iter().map(|message| message.content.len().div_ceil(4) as u64).sum()
}
