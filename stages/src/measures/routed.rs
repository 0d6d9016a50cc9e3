//! A router's decisions on the test rows. Takes probabilities over policies; gives the predicted policy and chosen role of each row, and how
//! the router ranks the rows.

use super::{
    board::Board,
    curve,
    input::{Decision, EvaluationError},
};

/// A router's decisions on the test rows.
pub(super) struct Routed {
    /// The index of each row's most probable policy; of equal ones, the first.
    pub(super) predicted: Vec<usize>,
    /// The probability of that policy, by row.
    pub(super) confidence: Vec<f64>,
    /// The index of the role that the policy sends to, by row.
    pub(super) chosen: Vec<usize>,
    /// log p(policies of the dearest role) − log p(the others), by row. `None` if either group is empty.
    pub(super) scores: Option<Vec<f64>>,
}

impl Routed {
    pub(super) fn new(board: &Board<'_>, decisions: &[Decision]) -> Result<Self, EvaluationError> {
        if decisions.len() != board.test.len() {
            return Err(EvaluationError::DecisionCount { decisions: decisions.len(), rows: board.test.len() });
        }
        let is_dear: Vec<bool> = board.role_of.iter().map(|&role| role == board.dearest()).collect();
        let ranks = is_dear.contains(&true) && is_dear.contains(&false);
        let mut routed = Self { predicted: Vec::new(), confidence: Vec::new(), chosen: Vec::new(), scores: ranks.then(Vec::new) };
        for (case, decision) in board.test.iter().zip(decisions) {
            let probabilities = &decision.probabilities;
            let total: f64 = probabilities.iter().sum();
            let sound = probabilities.iter().all(|share| share.is_finite() && *share >= 0.0) && total.is_finite() && total > 0.0;
            if probabilities.len() != board.policies.len() || !sound {
                return Err(EvaluationError::Probabilities { id: case.id.clone(), policies: board.policies.len() });
            }
            let mut best = 0;
            for (policy, share) in probabilities.iter().enumerate() {
                best = if *share > probabilities[best] { policy } else { best };
            }
            routed.predicted.push(best);
            routed.confidence.push(probabilities[best] / total);
            routed.chosen.push(board.role_of[best]);
            if let Some(scores) = &mut routed.scores {
                scores.push(log_share(probabilities, &is_dear, true) - log_share(probabilities, &is_dear, false));
            }
        }
        Ok(routed)
    }

    /// Returns for each row whether the predicted policy is right.
    pub(super) fn right(&self, board: &Board<'_>) -> Vec<bool> {
        self.predicted.iter().zip(&board.gold).map(|(predicted, gold)| predicted == gold).collect()
    }

    /// Returns the average performance gap recovered between the cheapest and the dearest model.
    pub(super) fn apgr(&self, board: &Board<'_>) -> Option<f64> {
        let (weak, strong) = board.ends();
        curve::apgr(self.scores.as_ref()?, weak, strong)
    }
}

/// Returns the logarithm of the summed probability of one group. It is bounded below, so that scores of probabilities of 0 and 1 are finite.
fn log_share(probabilities: &[f64], is_dear: &[bool], wanted: bool) -> f64 {
    let group = probabilities.iter().zip(is_dear).filter(|(_, dear)| **dear == wanted);
    group.map(|(share, _)| share).sum::<f64>().max(f64::MIN_POSITIVE).ln()
}
