//! What the models behind a provider take, where their names do not say it: gateways rename models, and servers leave settings out. Takes
//! YAML under `takes:` and `json_schema:`; gives which settings are sent, and in which form.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    defaults::is_default,
    llm::request::{Dialect, SystemRole},
};

/// What models take. What is left out is as the table of the provider's kind has it for the model's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Capabilities {
    /// Whether they take a temperature.
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<bool>,
    /// Whether they take `top_p`.
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<bool>,
    /// Whether they take a seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<bool>,
    /// Whether they take texts that end the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<bool>,
    /// Whether they take a budget of tokens for hidden reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<bool>,
    /// Whether they take a word for how much they reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<bool>,
    /// Whether hidden reasoning counts against the cap, which is larger then if none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reasoning: Option<bool>,
    /// Whether the cap is called `max_completion_tokens`, and not `max_tokens`; for `kind: openai`.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<bool>,
    /// The role of the system prompt: `system`, `developer` (for `kind: openai`), or `user`, which puts it before the first turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    system_role: Option<SystemRole>,
}

/// How replies that have to be JSON are asked for. The prompt asks for them too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum JsonMode {
    /// By a schema, where the kind has them, and by the prompt alone once the server refuses one.
    #[default]
    Auto,
    /// As a JSON object, without a schema.
    Object,
    /// By the prompt alone.
    None,
}

/// What a manifest says of a provider's models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Said {
    #[serde(skip_serializing_if = "is_default")]
    pub takes: Capabilities,
    #[serde(skip_serializing_if = "is_default")]
    pub json: JsonMode,
}

impl Said {
    /// Returns whether a setting is taken, if the manifest says it.
    pub(crate) fn takes(self, setting: &str) -> Option<bool> {
        let takes = self.takes;
        match setting {
            "temperature" => takes.temperature,
            "top_p" => takes.top_p,
            "seed" => takes.seed,
            "stop" => takes.stop,
            "thinking" => takes.thinking,
            "reasoning_effort" => takes.reasoning_effort,
            "schema" => (self.json == JsonMode::None).then_some(false),
            _ => None,
        }
    }

    /// Returns the form in which requests are written.
    pub(crate) fn dialect(self) -> Dialect {
        Dialect {
            max_completion_tokens: self.takes.max_completion_tokens,
            system_role: self.takes.system_role.filter(|role| *role != SystemRole::System),
            json_object: self.json == JsonMode::Object,
        }
    }

    /// Returns what the protocol of this kind cannot do: the field under `takes`, and why.
    pub(crate) fn mistakes(self, kind: &str) -> Vec<(&'static str, String)> {
        let mut mistakes = Vec::new();
        if kind != "openai" && self.takes.max_completion_tokens.is_some() {
            mistakes.push(("max_completion_tokens", format!("the protocol of `{kind}` has one name for the cap")));
        }
        if kind != "openai" && self.takes.system_role == Some(SystemRole::Developer) {
            mistakes.push(("system_role", format!("the protocol of `{kind}` has no role `developer`")));
        }
        mistakes
    }
}
