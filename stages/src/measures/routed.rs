//! Takes probabilities over policies; gives what a router picks, sends to which model, and how it ranks the rows.

use super::{
    board::Board,
    curve,
    input::{Decision, EvaluationError},
};

/// A router's decisions on the test rows.
pub(super) struct Routed {
    /// Per row the place of the likeliest policy; the first of equals.
    pub(super) predicted: Vec<usize>,
    /// Per row the probability of that policy.
    pub(super) confidence: Vec<f64>,
    /// Per row the place of the role that the policy sends to.
    pub(super) chosen: Vec<usize>,
    /// Per row log p(policies of the dearest role) − log p(the others); None where either group is empty.
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

    /// Per row whether the right policy is picked.
    pub(super) fn right(&self, board: &Board<'_>) -> Vec<bool> {
        self.predicted.iter().zip(&board.gold).map(|(predicted, gold)| predicted == gold).collect()
    }

    /// The average performance gap recovered between the cheapest and the dearest model.
    pub(super) fn apgr(&self, board: &Board<'_>) -> Option<f64> {
        let (weak, strong) = board.ends();
        curve::apgr(self.scores.as_ref()?, weak, strong)
    }
}

/// The logarithm of the summed probability of one group, bounded below so that a sure router still ranks.
fn log_share(probabilities: &[f64], is_dear: &[bool], wanted: bool) -> f64 {
    let group = probabilities.iter().zip(is_dear).filter(|(_, dear)| **dear == wanted);
    group.map(|(share, _)| share).sum::<f64>().max(f64::MIN_POSITIVE).ln()
}
