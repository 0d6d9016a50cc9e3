//! What an evaluation takes: policies, labelled questions with every model's outcome and cost, decisions; and why it may refuse.

use std::collections::BTreeMap;

use crate::rows::Grade;

/// A policy and the role of the model that it sends a question to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The policy's name, as labels have it.
    pub name: String,
    /// The role of its model.
    pub model: String,
}

/// A labelled question with what each model made of it. Training cases need no outcomes and no costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// The question's id.
    pub id: String,
    /// The text that a router sees.
    pub text: String,
    /// The name of the policy that the label gives.
    pub policy: String,
    /// The outcome of each role's answer.
    pub outcomes: BTreeMap<String, Grade>,
    /// The dollars that each role's answer cost; None, or no entry, where the price is unknown.
    pub cost: BTreeMap<String, Option<f64>>,
}

/// A router's decision on one question.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The probability of each policy, in the order of the policies.
    pub probabilities: Vec<f64>,
}

/// Why an evaluation cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// Nothing to measure on.
    #[error("no question is in the `test` split: give the benchmark more rows or a larger share for testing")]
    NoTestRows,
    /// Nothing to route to.
    #[error("no model is given: name at least one role, in order of cost")]
    NoRoles,
    /// A role would hide a line of the table.
    #[error("the role `{0}` has the name of a baseline: give it another one")]
    ReservedRole(String),
    /// A policy leads nowhere.
    #[error("policy `{policy}` sends to `{role}`, which has no answers here: give it one of {roles}")]
    UnknownRole {
        /// The policy.
        policy: String,
        /// The role that it names.
        role: String,
        /// The roles that there are.
        roles: String,
    },
    /// A label names no policy.
    #[error("row `{id}` is labelled `{policy}`, which is none of the policies {policies}")]
    UnknownPolicy {
        /// The row.
        id: String,
        /// The label's policy.
        policy: String,
        /// The policies that there are.
        policies: String,
    },
    /// An answer was not judged.
    #[error("row `{id}` has no verdict on the answer of `{role}`: judge every answer of the test split first")]
    MissingOutcome {
        /// The row.
        id: String,
        /// The role whose answer has none.
        role: String,
    },
    /// Decisions do not belong to these rows.
    #[error("there are {decisions} decisions for {rows} test rows: give one for each, in their order")]
    DecisionCount {
        /// The number of decisions.
        decisions: usize,
        /// The number of test rows.
        rows: usize,
    },
    /// A decision is no distribution over the policies.
    #[error(
        "the decision on row `{id}` is no distribution over {policies} policies: give each a finite probability, not all zero"
    )]
    Probabilities {
        /// The row.
        id: String,
        /// The number of policies.
        policies: usize,
    },
}
