//! The section `providers`. Takes YAML; gives settings of providers, by the name that stands before the slash in a model's name.

use std::collections::BTreeMap;

use engine::{File, Folder, ParamMistake, Section};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::capabilities::{Capabilities, JsonMode, Said};
use crate::{defaults::is_default, models::DeviceName};

/// Settings by provider name.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct ProviderSettings(pub BTreeMap<String, ProviderSetting>);

/// How a provider is reached. Kind, address, query, `file`, `extra` and what its models take decide what it answers; the rest decides
/// how fast, and is in no key.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderSetting {
    /// The protocol: `gemini`, `openai`, `anthropic`; or `local`, `replay`, `calculator`.
    pub kind: String,
    /// The recorded answers of a `replay` provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<File>,
    /// The checkpoint of a `local` provider, as Hugging Face has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<Folder>,
    /// Where a `local` provider's checkpoint is computed: `auto`, `cpu`, `cuda` or `cuda:N` [default: `auto`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceName>,
    /// Where the provider is asked [default: the vendor's own address].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The query of every address, such as Azure's `{ api-version: 2024-10-21 }`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// Further fields of every request's body, in the server's own words: `{ chat_template_kwargs: { enable_thinking: false } }`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
    /// What its models take, where their names do not say it: `{ max_completion_tokens: true, temperature: false }`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub takes: Capabilities,
    /// How JSON is asked for: `auto`, `object` or `none`, which leaves it to the prompt [default: `auto`, a schema where the server takes one].
    #[serde(default, skip_serializing_if = "is_default")]
    pub json_schema: JsonMode,
    /// The environment variable that holds the key, as `{ env: NAME }` [default: the vendor's usual one, and none with a `base_url`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<FromEnvironment>,
    /// Further headers, as `NAME: { env: VARIABLE }`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, FromEnvironment>,
    /// The most requests a minute [default: as the provider says in its replies, else found out].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// The most tokens a minute, of prompts and answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u32>,
    /// The most calls at once [default: 64].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<usize>,
    /// Seconds after which a call without a reply is made again [default: 300].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<f64>,
    /// The longest wait, in seconds, that the provider may ask for before its calls end [default: 600].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_wait: Option<f64>,
    /// `interactive`, or `batch`: calls are handed over in jobs that cost less and may take a day. The replies are the same ones.
    #[serde(default)]
    pub mode: Mode,
}

/// How calls are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// One by one, each answered at once.
    #[default]
    Interactive,
    /// Many in a job, answered when it ends.
    Batch,
}

/// A value that stands in an environment variable and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FromEnvironment {
    /// The variable's name.
    pub env: String,
}

impl ProviderSetting {
    /// Returns what the manifest says of the models.
    pub(crate) fn said(&self) -> Said {
        Said { takes: self.takes, json: self.json_schema }
    }
}

const SECRET: &str = "an address has no name and no key in it";
const KEY_HELP: &str = "put the key into an environment variable, and name it by `api_key: { env: NAME }`, or by `headers: { NAME: { env: VARIABLE } }`";

/// Fields of a request's body that `extra` may not set.
pub(crate) const OURS: [&str; 8] = ["model", "messages", "contents", "prompt", "system", "systemInstruction", "stream", "n"];

/// Returns whether a part of a query is likely to hold a key, as its name says.
fn is_secret(name: &str) -> bool {
    let name: String = name.to_lowercase().chars().filter(|character| character.is_alphanumeric()).collect();
    let is_whole = ["key", "sig", "auth", "pass", "pwd", "token", "secret"].contains(&name.as_str());
    is_whole
        || ["apikey", "accesskey", "subscriptionkey", "token", "secret", "password", "signature", "credential"]
            .iter()
            .any(|part| name.contains(part))
}

/// Returns what cannot stand in a `base_url`, and what to do about it: all that stands in one is kept and shown.
fn unfit(url: &str) -> Option<(&'static str, &'static str)> {
    if url.contains('@') {
        return Some((SECRET, KEY_HELP));
    }
    if url.contains('#') {
        return Some(("an address has no fragment", "take out `#` and what stands behind it"));
    }
    let (_, query) = url.split_once('?')?;
    if query.split('&').any(|part| is_secret(part.split('=').next().unwrap_or_default())) {
        return Some((SECRET, KEY_HELP));
    }
    Some(("paths are appended to an address, so it has no query", "write it apart: `query: { api-version: 2024-10-21 }`"))
}

impl Section for ProviderSettings {
    const NAME: &'static str = "providers";

    fn mistakes(&self) -> Vec<ParamMistake> {
        let mut mistakes = Vec::new();
        for (name, setting) in &self.0 {
            let mut mistake = |field: &str, message: &str, help: &str| {
                mistakes.push(ParamMistake {
                    field: [name.as_str()].into_iter().chain(field.split('.')).map(str::to_owned).collect(),
                    message: message.to_owned(),
                    help: help.to_owned(),
                });
            };
            if name.contains('/') {
                mistake("kind", "a provider's name has no `/`", "the name ends before the first `/` of PROVIDER/MODEL");
            }
            if setting.base_url.as_ref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
                mistake("base_url", "an address starts with `http://` or `https://`", "for example `http://localhost:8000/v1`");
            }
            if let Some((message, help)) = setting.base_url.as_deref().and_then(unfit) {
                mistake("base_url", message, help);
            }
            for field in setting.query.keys().filter(|name| is_secret(name)) {
                mistake(&format!("query.{field}"), SECRET, KEY_HELP);
            }
            for field in setting.extra.keys().filter(|name| OURS.contains(&name.as_str())) {
                mistake(&format!("extra.{field}"), "this field of a request is filled in by the program", "take it out");
            }
            for (field, message) in setting.said().mistakes(&setting.kind) {
                mistake(&format!("takes.{field}"), &message, "take it out");
            }
            if setting.longest_wait.is_some_and(|wait| !(wait > 0.0 && wait <= 604_800.0)) {
                mistake("longest_wait", "a wait is in seconds, above 0 and up to a week", "for example `longest_wait: 3600`");
            }
            if setting.concurrency == Some(0) {
                mistake("concurrency", "at least one call has to be allowed", "give a number above 0");
            }
            if setting.requests_per_minute == Some(0) {
                mistake(
                    "requests_per_minute",
                    "at least one request has to be allowed",
                    "give a number above 0, or leave it out",
                );
            }
            if setting.tokens_per_minute == Some(0) {
                mistake("tokens_per_minute", "at least one token has to be allowed", "give a number above 0, or leave it out");
            }
            if setting.timeout.is_some_and(|timeout| !(timeout > 0.0 && timeout <= 86_400.0)) {
                mistake("timeout", "a timeout is in seconds, above 0 and up to a day", "for example `timeout: 120`");
            }
        }
        mistakes
    }
}
