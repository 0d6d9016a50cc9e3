//! A trained checkpoint's `router.json`: what it was trained to choose between, and how it is used; so that neither the manifest nor
//! anything else is needed.
//!
//! Training writes what the model has seen: the prompt's version, and names and descriptions of the policies. Which role a policy sends to,
//! which model plays a role, what that costs and where the router operates are no part in training: `evaluate` writes these, and they may
//! change without training again.

pub(crate) mod prompt;
pub mod score;

use std::{collections::BTreeMap, path::Path};

use engine::StageError;
use serde::{Deserialize, Serialize};

use crate::sections::{Policies, Policy, TokenPrice};

/// The file's name.
pub(crate) const FILE: &str = "router.json";

/// What a checkpoint says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Router {
    /// Version of this file.
    pub version: u32,
    /// Version of the prompt's words.
    pub prompt: String,
    /// The policies in order of cost.
    pub policies: Vec<PolicyEntry>,
    /// The model that plays each role; empty before the evaluation.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, RoleModel>,
    /// What these models and the router itself cost when it was evaluated, by `provider/model`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prices: BTreeMap<String, TokenPrice>,
    /// How a policy is chosen; none before the evaluation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operating_point: Option<OperatingPoint>,
}

/// A policy as the file has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PolicyEntry {
    name: String,
    /// The role that it sends to; none before the evaluation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    description: String,
    /// The word that the router says before a route's name where it means this policy; routes with other names are found by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyword: Option<String>,
}

/// A model, and who serves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RoleModel {
    pub provider: String,
    pub model: String,
}

/// How a policy is chosen of the scores, and what that gave on held-out questions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OperatingPoint {
    pub rule: Rule,
    /// Questions that it was measured on.
    pub rows: usize,
    /// Share of them that got the right policy.
    pub policy_accuracy: f64,
    /// Share that got a correct answer.
    pub accuracy: f64,
    /// Cost as a share of always asking the dearest model; none where prices are not known.
    pub cost_share: Option<f64>,
}

/// How a policy is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rule {
    /// The most probable one.
    HighestProbability,
}

impl Router {
    /// Describes a router that was trained for these policies.
    pub(crate) fn new(policies: &Policies) -> Self {
        let entry = |policy: &Policy| PolicyEntry {
            name: policy.name.clone(),
            model: None,
            description: policy.description.clone(),
            keyword: policy.keyword.clone(),
        };
        Self {
            version: 2,
            prompt: prompt::VERSION.to_owned(),
            policies: policies.0.iter().map(entry).collect(),
            roles: BTreeMap::new(),
            prices: BTreeMap::new(),
            operating_point: None,
        }
    }

    /// Adds which role each policy sends to; policies are found by their names.
    pub(crate) fn sending(mut self, policies: &Policies) -> Self {
        for entry in &mut self.policies {
            entry.model = policies.get(&entry.name).map(|policy| policy.model.clone());
        }
        self
    }

    /// The policies in the words of the training.
    pub(crate) fn policies(&self) -> Policies {
        let policy = |entry: &PolicyEntry| Policy {
            name: entry.name.clone(),
            model: entry.model.clone().unwrap_or_default(),
            description: entry.description.clone(),
            keyword: entry.keyword.clone(),
        };
        Policies(self.policies.iter().map(policy).collect())
    }

    /// Writes the file's text.
    pub(crate) fn to_text(&self) -> Result<String, StageError> {
        Ok(serde_json::to_string_pretty(self).map_err(StageError::failed)? + "\n")
    }

    /// Writes the file into a checkpoint's folder.
    pub(crate) fn save(&self, folder: &Path) -> Result<(), StageError> {
        Ok(std::fs::write(folder.join(FILE), self.to_text()?)?)
    }

    /// Reads the file from a checkpoint's folder.
    ///
    /// # Errors
    /// The checkpoint is no router, or one whose prompt this program does not have.
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
