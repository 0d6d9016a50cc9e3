//! The input of an evaluation: policies, labelled questions with every model's outcome and cost, and decisions; and the errors in it.

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

/// A labelled question with the outcome and the cost of each model's answer. Training cases need neither outcomes nor costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// The question's id.
    pub id: String,
    /// The text that a router sees.
    pub text: String,
    /// The name of the label's policy.
    pub policy: String,
    /// The outcome of each role's answer.
    pub outcomes: BTreeMap<String, Grade>,
    /// The cost of each role's answer in dollars. `None`, or no entry, if the price is unknown.
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
    /// There are no test rows.
    #[error("no question is in the `test` split: give the benchmark more rows or a larger share for testing")]
    NoTestRows,
    /// There are no roles to route to.
    #[error("no model is given: name at least one role, in order of cost")]
    NoRoles,
    /// A role has the name of a baseline, which is a line of the same table.
    #[error("the role `{0}` has the name of a baseline: give it another one")]
    ReservedRole(String),
    /// A policy sends to a role that does not exist.
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
    #[error("row `{id}` is labelled `{policy}`, which is not one of the policies {policies}")]
    UnknownPolicy {
        /// The row.
        id: String,
        /// The label's policy.
        policy: String,
        /// The policies that there are.
        policies: String,
    },
    /// An answer has no verdict.
    #[error("row `{id}` has no verdict on the answer of `{role}`: judge every answer of the test split first")]
    MissingOutcome {
        /// The row.
        id: String,
        /// The role whose answer has none.
        role: String,
    },
    /// The number of decisions is not the number of test rows.
    #[error("there are {decisions} decisions for {rows} test rows: give one for each, in their order")]
    DecisionCount {
        /// The number of decisions.
        decisions: usize,
        /// The number of test rows.
        rows: usize,
    },
    /// A decision is no probability distribution over the policies.
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
