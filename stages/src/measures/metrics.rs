//! The figures of an evaluation.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{classification::ClassMeasures, resampling::McNemar, yardsticks::Baseline};

/// How well a router routes, beside what it has to be measured against on the same rows.
///
/// Costs are dollars over all test rows. What is undefined or rests on an unknown price is null.
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
    /// The router's own part of it.
    pub own_cost: Option<f64>,
    /// The cost as a share of the dearest model's alone.
    pub cost_share: Option<f64>,
    /// The number of questions sent to each role.
    pub calls: BTreeMap<String, usize>,
    /// The average performance gap recovered between the cheapest and the dearest model; a random order has 0.5.
    pub apgr: Option<f64>,
    /// The least share of calls to the dearest model that recovers 20, 50 and 80 % of the gap.
    pub cpt: BTreeMap<String, Option<f64>>,
    /// The share of the dearest model's cost that is saved at its quality, the router's own cost counted; below 0 if none is.
    pub savings: Option<f64>,
    /// The mean height of the cost–quality hull between the costs of the cheapest and the dearest model (AIQ).
    pub hull_area: Option<f64>,
    /// The accuracy lost against the oracle.
    pub regret: f64,
    /// The mean F1 over policies.
    pub macro_f1: f64,
    /// Precision, recall, F1 and support by policy.
    pub policies: BTreeMap<String, ClassMeasures>,
    /// Rows by gold policy, then by predicted policy.
    pub confusion: BTreeMap<String, BTreeMap<String, u64>>,
    /// Rows by the models' outcomes in order of cost, as `correct/idk`; those that occur.
    pub outcomes: BTreeMap<String, u64>,
    /// Whether the probability of the predicted policy says how often it is right.
    pub calibration: Calibration,
    /// Single models under their role, `random_mix`, `oracle`, `duplicates` and the cheap routers.
    pub baselines: BTreeMap<String, Baseline>,
    /// 95 % bootstrap intervals of `policy_accuracy`, `accuracy` and `apgr`.
    pub intervals: BTreeMap<String, Option<[f64; 2]>>,
    /// The exact test of right policies against each cheap router's.
    pub mcnemar: BTreeMap<String, McNemar>,
    /// Whether policy accuracy and APGR are both above every cheap router's; null where none could be trained.
    pub beats_cheap_routers: Option<bool>,
    /// What a reader of these figures has to know, in sentences.
    pub notes: Vec<String>,
}

/// How far the confidence in the predicted policy is from how often it is right.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Calibration {
    /// The expected calibration error (15 bins).
    pub ece: Option<f64>,
    /// The Brier score.
    pub brier: Option<f64>,
}
