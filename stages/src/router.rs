//! A trained checkpoint's `router.json`: what it was trained to choose between, so that it can be used without the manifest.

use std::path::Path;

use engine::StageError;
use serde::{Deserialize, Serialize};

use crate::{
    prompt,
    sections::{Policies, Policy},
    tokenizer::Placement,
};

const FILE: &str = "router.json";

/// What a checkpoint says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Router {
    /// Version of this file.
    pub version: u32,
    /// Version of the prompt's words.
    pub prompt: String,
    /// Where system messages stood in training; `system` in files from before there was a choice.
    #[serde(default = "own_turn")]
    pub system: Placement,
    /// The policies in order of cost.
    pub policies: Vec<PolicyEntry>,
}

/// A policy as the file has it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PolicyEntry {
    name: String,
    model: String,
    description: String,
}

fn own_turn() -> Placement {
    Placement::System
}

impl Router {
    /// Describes a router for these policies.
    pub(crate) fn new(policies: &Policies, system: Placement) -> Self {
        let entry = |policy: &Policy| PolicyEntry {
            name: policy.name.clone(),
            model: policy.model.clone(),
            description: policy.description.clone(),
        };
        Self { version: 1, prompt: prompt::VERSION.to_owned(), system, policies: policies.0.iter().map(entry).collect() }
    }

    /// The policies.
    pub(crate) fn policies(&self) -> Policies {
        let policy = |entry: &PolicyEntry| Policy {
            name: entry.name.clone(),
            model: entry.model.clone(),
            description: entry.description.clone(),
        };
        Policies(self.policies.iter().map(policy).collect())
    }

    /// Writes the file into a checkpoint's folder.
    pub(crate) fn save(&self, folder: &Path) -> Result<(), StageError> {
        let text = serde_json::to_string_pretty(self).map_err(StageError::failed)?;
        Ok(std::fs::write(folder.join(FILE), text + "\n")?)
    }

    /// Reads the file from a checkpoint's folder.
    ///
    /// Errors: the checkpoint is no router, or one whose prompt this program does not have.
    pub(crate) fn load(folder: &Path) -> Result<Self, StageError> {
        let text = std::fs::read_to_string(folder.join(FILE)).map_err(|error| {
            StageError::failed(format!("the checkpoint is no router: `{FILE}`: {error}")).help("train one with `uses: sft`")
        })?;
        let router: Self = serde_json::from_str(&text).map_err(|error| StageError::failed(format!("`{FILE}`: {error}")))?;
        if router.prompt != prompt::VERSION {
            return Err(StageError::failed(format!(
                "the checkpoint was trained with prompt `{}`, and this program has `{}`",
                router.prompt,
                prompt::VERSION
            ))
            .help("train it again"));
        }
        Ok(router)
    }
}
