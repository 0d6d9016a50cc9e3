//! The test rows as arrays. Takes policies, roles and labelled questions; gives checked arrays over the test rows.

use std::collections::BTreeMap;

use super::input::{Case, EvaluationError, Policy};
use crate::rows::Grade;

/// Names of lines in the table of baselines, which no role may have.
pub(super) const RESERVED: [&str; 3] = ["random_mix", "oracle", "duplicates"];

/// All that is known about the test rows without the router's decisions.
pub(super) struct Board<'a> {
    pub(super) policies: &'a [Policy],
    pub(super) roles: &'a [String],
    pub(super) test: &'a [Case],
    /// The index of each policy's role.
    pub(super) role_of: Vec<usize>,
    /// The index of each row's gold policy.
    pub(super) gold: Vec<usize>,
    /// By role and then by row: 1 if the answer is correct, else 0.
    pub(super) quality: Vec<Vec<f64>>,
    /// By role and then by row: the cost of the answer in dollars, `None` if it is unknown.
    cost: Vec<Vec<Option<f64>>>,
}

impl<'a> Board<'a> {
    pub(super) fn new(policies: &'a [Policy], roles: &'a [String], test: &'a [Case]) -> Result<Self, EvaluationError> {
        if test.is_empty() {
            return Err(EvaluationError::NoTestRows);
        }
        if roles.is_empty() {
            return Err(EvaluationError::NoRoles);
        }
        let is_reserved = |role: &&String| {
            let cheap = crate::measures::baselines::ALL.iter().map(|(name, _)| *name);
            RESERVED.into_iter().chain(cheap).any(|name| name == role.as_str())
        };
        if let Some(role) = roles.iter().find(is_reserved) {
            return Err(EvaluationError::ReservedRole(role.clone()));
        }
        let role_of = policies.iter().map(|policy| place_of_role(policy, roles)).collect::<Result<_, _>>()?;
        let gold = places_of_policies(policies, test)?;
        let mut quality = Vec::new();
        let mut cost = Vec::new();
        for role in roles {
            let outcome = |case: &Case| match case.outcomes.get(role) {
                Some(outcome) => Ok(f64::from(u8::from(*outcome == Grade::Correct))),
                None => Err(EvaluationError::MissingOutcome { id: case.id.clone(), role: role.clone() }),
            };
            quality.push(test.iter().map(outcome).collect::<Result<_, _>>()?);
            let dollars = |case: &Case| case.cost.get(role).copied().flatten().filter(|cost| cost.is_finite());
            cost.push(test.iter().map(dollars).collect());
        }
        Ok(Self { policies, roles, test, role_of, gold, quality, cost })
    }

    /// Returns the index of the dearest role. The cheapest one's is 0.
    pub(super) fn dearest(&self) -> usize {
        self.roles.len() - 1
    }

    /// Returns the qualities of the cheapest and of the dearest model, by row.
    pub(super) fn ends(&self) -> (&[f64], &[f64]) {
        (&self.quality[0], &self.quality[self.dearest()])
    }

    /// Returns the costs of the cheapest and of the dearest model, by row. `None` if any of them is unknown.
    pub(super) fn end_costs(&self) -> Option<(Vec<f64>, Vec<f64>)> {
        let known = |role: usize| self.cost[role].iter().copied().collect::<Option<Vec<f64>>>();
        Some((known(0)?, known(self.dearest())?))
    }

    /// Returns for each row 1 if the role chosen for it answers correctly, else 0.
    pub(super) fn hits(&self, chosen: &[usize]) -> Vec<f64> {
        chosen.iter().enumerate().map(|(row, &role)| self.quality[role][row]).collect()
    }

    /// Returns the cost in dollars of the chosen roles' answers to all rows. `None` if one of them is unknown.
    pub(super) fn cost(&self, chosen: &[usize]) -> Option<f64> {
        chosen.iter().enumerate().map(|(row, &role)| self.cost[role][row]).sum()
    }

    /// Returns a cost as a share of the cost of the dearest model on all rows. `None` if one is unknown, or that cost is 0.
    pub(super) fn cost_share(&self, cost: Option<f64>) -> Option<f64> {
        let whole = self.cost(&vec![self.dearest(); self.test.len()]).filter(|cost| *cost > 0.0)?;
        Some(cost? / whole)
    }

    /// Counts rows by their outcomes in the order of the roles, as `correct/idk`.
    pub(super) fn outcomes(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for case in self.test {
            let words: Vec<String> =
                self.roles.iter().filter_map(|role| case.outcomes.get(role)).map(ToString::to_string).collect();
            *counts.entry(words.join("/")).or_default() += 1;
        }
        counts
    }
}

/// Returns the mean of values; 0 without values.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Returns the index of each case's policy.
///
/// # Errors
/// A label names no policy.
pub(super) fn places_of_policies(policies: &[Policy], cases: &[Case]) -> Result<Vec<usize>, EvaluationError> {
    let place = |case: &Case| {
        policies.iter().position(|policy| policy.name == case.policy).ok_or_else(|| EvaluationError::UnknownPolicy {
            id: case.id.clone(),
            policy: case.policy.clone(),
            policies: quoted(policies.iter().map(|policy| policy.name.as_str())),
        })
    };
    cases.iter().map(place).collect()
}

fn place_of_role(policy: &Policy, roles: &[String]) -> Result<usize, EvaluationError> {
    roles.iter().position(|role| *role == policy.model).ok_or_else(|| EvaluationError::UnknownRole {
        policy: policy.name.clone(),
        role: policy.model.clone(),
        roles: quoted(roles.iter().map(String::as_str)),
    })
}

fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
