//! Yardsticks. Takes the test rows; gives the figures of single models, a random mix, the oracle and the best function of the text on them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    board::{Board, mean},
    curve,
    routed::Routed,
};

/// The figures of one baseline, a line of the table beside the router's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Baseline {
    /// The share of questions answered correctly.
    pub accuracy: Option<f64>,
    /// The cost in dollars over all test rows; `None` if a price is unknown.
    pub cost: Option<f64>,
    /// The cost as a share of the cost of the dearest model alone.
    pub cost_share: Option<f64>,
    /// The share of rows with the right policy, for baselines that choose policies.
    pub policy_accuracy: Option<f64>,
    /// The average performance gap recovered, for baselines that rank questions.
    pub apgr: Option<f64>,
}

/// Returns the figures of one choice of a role for each row.
fn chosen(board: &Board<'_>, chosen: &[usize], policy_accuracy: Option<f64>, apgr: Option<f64>) -> Baseline {
    let cost = board.cost(chosen);
    Baseline { accuracy: Some(mean(&board.hits(chosen))), cost, cost_share: board.cost_share(cost), policy_accuracy, apgr }
}

/// Returns the figures of a router that costs nothing itself.
pub(super) fn router(board: &Board<'_>, routed: &Routed) -> Baseline {
    let right = routed.right(board).iter().filter(|right| **right).count();
    let policy_accuracy = right as f64 / board.test.len() as f64;
    chosen(board, &routed.chosen, Some(policy_accuracy), routed.apgr(board))
}

/// Returns the figures of one model for every question. It ranks nothing, so it has no APGR.
pub(super) fn single(board: &Board<'_>, role: usize) -> Baseline {
    chosen(board, &vec![role; board.test.len()], None, None)
}

/// Returns the expected figures of sending questions to the dearest or the cheapest model at random, in shares that cost what the router
/// costs. A random order has an APGR of 0.5.
///
/// If a cost is unknown, or the dearest model costs no more than the cheapest, there is no such mix, and only the APGR is given.
pub(super) fn random_mix(board: &Board<'_>, cost: Option<f64>) -> Baseline {
    let (cheap, dear) = (single(board, 0), single(board, board.dearest()));
    let share = cheap.cost.zip(dear.cost).zip(cost).and_then(|((low, high), cost)| {
        let rises = high > low;
        rises.then(|| ((cost - low) / (high - low)).clamp(0.0, 1.0))
    });
    let between = |low: Option<f64>, high: Option<f64>| Some(low? + share? * (high? - low?));
    let cost = between(cheap.cost, dear.cost);
    let (weak, strong) = board.ends();
    let gap = curve::pgr(mean(strong), mean(weak), mean(strong));
    Baseline {
        accuracy: between(cheap.accuracy, dear.accuracy),
        cost,
        cost_share: board.cost_share(cost),
        policy_accuracy: None,
        apgr: gap.map(|gap| gap / 2.0),
    }
}

/// Returns the figures of the oracle: the cheapest correct model for each question, or the cheapest of all if none is correct.
pub(super) fn oracle(board: &Board<'_>) -> Baseline {
    let cheapest = |row: usize| board.quality.iter().position(|quality| quality[row] > 0.0).unwrap_or(0);
    let choice: Vec<usize> = (0..board.test.len()).map(cheapest).collect();
    let (weak, strong) = board.ends();
    chosen(board, &choice, None, curve::oracle_apgr(weak, strong))
}

/// Returns the figures of the best function of the question's text, which has to decide alike on equal texts.
///
/// For each group of equal texts, the policy is the most frequent one, and the model the one that answers most of the group, or the cheapest of
/// equal ones.
pub(super) fn duplicates(board: &Board<'_>) -> Baseline {
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (row, case) in board.test.iter().enumerate() {
        groups.entry(&case.text).or_default().push(row);
    }
    let mut choice = vec![0; board.test.len()];
    let mut weak = vec![0.0; choice.len()];
    let mut strong = weak.clone();
    let mut right = 0;
    for rows in groups.values() {
        let count = |policy: usize| rows.iter().filter(|row| board.gold[**row] == policy).count();
        right += (0..board.policies.len()).map(count).max().unwrap_or(0);
        let answered = |role: usize| rows.iter().map(|row| board.quality[role][*row]).sum::<f64>();
        let mut best = 0;
        for role in 1..board.roles.len() {
            best = if answered(role) > answered(best) { role } else { best };
        }
        for &row in rows {
            choice[row] = best;
            // A function of the text cannot distinguish the rows of a group, so each counts as their mean.
            weak[row] = answered(0) / rows.len() as f64;
            strong[row] = answered(board.dearest()) / rows.len() as f64;
        }
    }
    let policy_accuracy = right as f64 / choice.len() as f64;
    chosen(board, &choice, Some(policy_accuracy), curve::oracle_apgr(&weak, &strong))
}
