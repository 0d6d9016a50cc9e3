//! The section `providers`. Takes YAML; gives settings of providers, by the name that stands before the slash in a model's name.

use std::collections::BTreeMap;

use engine::{File, Folder, ParamMistake, Section};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::models::DeviceName;

/// Settings by provider name.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct ProviderSettings(pub BTreeMap<String, ProviderSetting>);

/// How a provider is reached. Kind, `base_url` and `file` decide what it answers; the rest decides how fast, and is in no key.
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

impl Section for ProviderSettings {
    const NAME: &'static str = "providers";

    fn mistakes(&self) -> Vec<ParamMistake> {
        let mut mistakes = Vec::new();
        for (name, setting) in &self.0 {
            let mut mistake = |field: &str, message: &str, help: &str| {
                mistakes.push(ParamMistake {
                    field: vec![name.clone(), field.to_owned()],
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
            if setting.base_url.as_ref().is_some_and(|url| url.contains('@')) {
                mistake(
                    "base_url",
                    "an address has no name and no key in it",
                    "put the key into an environment variable, and name it by `api_key: { env: NAME }`",
                );
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
