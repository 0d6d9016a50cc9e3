//! `providers:` → settings of providers, by the name that stands before the slash in a model's name.

use std::collections::BTreeMap;

use engine::{File, Section};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings by provider name.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct ProviderSettings(pub BTreeMap<String, ProviderSetting>);

/// How a provider is reached.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderSetting {
    /// The protocol: `replay`, `calculator`.
    pub kind: String,
    /// The recorded answers of a `replay` provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<File>,
}

impl Section for ProviderSettings {
    const NAME: &'static str = "providers";
}
