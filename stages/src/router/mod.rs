//! A trained checkpoint's `router.json`: the policies that it was trained to choose between, and how it is used. Takes the file; gives all that
//! a router needs without the manifest.
//!
//! Training writes what the model has seen: the prompt's version, and names and descriptions of the policies. `evaluate` adds what no
//! training depends on and what may change without one: the role of each policy, the models in the roles, their prices and the operating point.
//! Read this file first, then `prompt` (the prompt and the answer's form) and `score` (log-probabilities of the answers).

pub(crate) mod prompt;
pub mod score;

use std::{collections::BTreeMap, path::Path};

use engine::StageError;
use serde::{Deserialize, Serialize};

use crate::sections::{Policies, Policy, TokenPrice};

/// The file's name.
pub(crate) const FILE: &str = "router.json";

/// The content of `router.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Router {
    /// Version of the file's format.
    pub version: u32,
    /// Version of the prompt.
    pub prompt: String,
    /// The policies in order of cost.
    pub policies: Vec<PolicyEntry>,
    /// The model in each role; empty before the evaluation.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, RoleModel>,
    /// Prices of these models and of the router itself at the time of the evaluation, by `provider/model`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prices: BTreeMap<String, TokenPrice>,
    /// How a policy is chosen; none before the evaluation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operating_point: Option<OperatingPoint>,
}

/// A policy in the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PolicyEntry {
    name: String,
    /// The role that the policy sends to; none before the evaluation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    description: String,
    /// The word that the router says before the route's name if it means this policy. Routes with other names are found by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyword: Option<String>,
}

/// A model and its provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RoleModel {
    pub provider: String,
    pub model: String,
}

/// How a policy is chosen by the scores, and the results of this on held-out questions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OperatingPoint {
    pub rule: Rule,
    /// The number of questions that were measured.
    pub rows: usize,
    /// Share of the questions for which the right policy was chosen.
    pub policy_accuracy: f64,
    /// Share of the questions that the chosen model answers correctly.
    pub accuracy: f64,
    /// Cost as a share of the cost of always asking the dearest model; none if a price is unknown.
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

    /// Adds the role that each policy sends to. Policies are matched by their names.
    pub(crate) fn sending(mut self, policies: &Policies) -> Self {
        for entry in &mut self.policies {
            entry.model = policies.get(&entry.name).map(|policy| policy.model.clone());
        }
        self
    }

    /// Returns the policies, described as in the training.
    pub(crate) fn policies(&self) -> Policies {
        let policy = |entry: &PolicyEntry| Policy {
            name: entry.name.clone(),
            model: entry.model.clone().unwrap_or_default(),
            description: entry.description.clone(),
            keyword: entry.keyword.clone(),
        };
        Policies(self.policies.iter().map(policy).collect())
    }

    /// Returns the file's text.
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
    /// The checkpoint has no such file, the file is malformed, or it names a version of the prompt that this program lacks.
    pub(crate) fn load(folder: &Path) -> Result<Self, StageError> {
        let text = std::fs::read_to_string(folder.join(FILE)).map_err(|error| {
            StageError::failed(format!("the checkpoint is not a router: `{FILE}`: {error}")).help("train one with `uses: sft`")
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
