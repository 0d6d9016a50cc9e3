//! The metrics of an evaluation.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{classification::ClassMeasures, resampling::McNemar, yardsticks::Baseline};

/// How well a router routes, beside baselines on the same rows.
///
/// Shares are from 0 to 1. Costs are in dollars over all test rows. A figure that is undefined or depends on an unknown price is null.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metrics {
    /// The number of test rows.
    pub rows: usize,
    /// The share of rows with the right policy.
    pub policy_accuracy: f64,
    /// The share of questions that the chosen models answer correctly.
    pub accuracy: f64,
    /// The cost of the chosen models' answers and of the router itself.
    pub cost: Option<f64>,
    /// The router's own part of the cost.
    pub own_cost: Option<f64>,
    /// The cost as a share of the cost of the dearest model alone.
    pub cost_share: Option<f64>,
    /// The number of questions sent to each role.
    pub calls: BTreeMap<String, usize>,
    /// The average performance gap recovered between the cheapest and the dearest model; a random order has 0.5.
    pub apgr: Option<f64>,
    /// The least share of calls to the dearest model that recovers 20, 50 and 80 % of the gap.
    pub cpt: BTreeMap<String, Option<f64>>,
    /// The share of the dearest model's cost that is saved at its quality, less the router's own cost; negative if the router costs more.
    pub savings: Option<f64>,
    /// The mean height of the cost–quality hull between the costs of the cheapest and the dearest model (`RouterBench`'s AIQ).
    pub hull_area: Option<f64>,
    /// The oracle's accuracy minus the router's.
    pub regret: f64,
    /// The mean F1 over policies.
    pub macro_f1: f64,
    /// Precision, recall, F1 and support by policy.
    pub policies: BTreeMap<String, ClassMeasures>,
    /// The number of rows by gold policy, then by predicted policy.
    pub confusion: BTreeMap<String, BTreeMap<String, u64>>,
    /// The number of rows by the models' outcomes in order of cost, as `correct/idk`, without those that do not occur.
    pub outcomes: BTreeMap<String, u64>,
    /// The calibration of the probability of the predicted policy.
    pub calibration: Calibration,
    /// Single models under their roles, `random_mix`, `oracle`, `duplicates` and the cheap routers.
    pub baselines: BTreeMap<String, Baseline>,
    /// 95 % bootstrap intervals of `policy_accuracy`, `accuracy` and `apgr`.
    pub intervals: BTreeMap<String, Option<[f64; 2]>>,
    /// The exact test of right policies against those of each cheap router.
    pub mcnemar: BTreeMap<String, McNemar>,
    /// Whether policy accuracy and APGR are both above those of every cheap router; null without training rows.
    pub beats_cheap_routers: Option<bool>,
    /// Sentences that a reader of these figures has to know.
    pub notes: Vec<String>,
}

/// The distance between the confidence in predicted policies and how often these are right. Both figures are from 0 to 1, and 0 is best.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Calibration {
    /// The expected calibration error (15 bins).
    pub ece: Option<f64>,
    /// The Brier score.
    pub brier: Option<f64>,
}
