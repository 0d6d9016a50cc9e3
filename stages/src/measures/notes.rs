//! Notes on an evaluation. Takes a router's figures; gives the sentences that a reader of them has to know.

use std::collections::BTreeSet;

use super::{
    board::{Board, mean},
    curve,
    input::Case,
    metrics::Metrics,
    routed::Routed,
    yardsticks::Baseline,
};

/// A measure's name, the router's value, and the function that returns a baseline's.
type Measure = (&'static str, Option<f64>, fn(&Baseline) -> Option<f64>);

/// Returns a sentence for each measure in which the router does not beat the best cheap router.
pub(super) fn behind(metrics: &Metrics, cheap: &[(&'static str, Routed)]) -> Vec<String> {
    let measures: [Measure; 2] = [
        ("policy accuracy", Some(metrics.policy_accuracy), |line| line.policy_accuracy),
        ("APGR", metrics.apgr, |line| line.apgr),
    ];
    let sentence = |(measure, own, of): Measure| {
        let own = own?;
        let values = cheap.iter().filter_map(|(name, _)| Some((*name, of(metrics.baselines.get(*name)?)?)));
        let (name, best) = values.max_by(|left, right| left.1.total_cmp(&right.1))?;
        (own <= best).then(|| format!("the router does not beat `{name}` in {measure}: {own:.3} against {best:.3}"))
    };
    measures.into_iter().filter_map(sentence).collect()
}

/// Returns a sentence for each caution: missing training rows or prices, test questions seen in training, no gap between the models.
pub(super) fn cautions(metrics: &Metrics, board: &Board<'_>, train: &[Case]) -> Vec<String> {
    let mut notes = Vec::new();
    if train.is_empty() {
        notes.push("there are no training rows, so no cheap router is in the table".to_owned());
    }
    let known: BTreeSet<&str> = train.iter().map(|case| case.text.as_str()).collect();
    let seen = board.test.iter().filter(|case| known.contains(case.text.as_str())).count();
    if seen > 0 {
        notes.push(format!("{seen} of {} test questions also occur verbatim in the training rows", metrics.rows));
    }
    for role in board.roles.iter().filter(|role| metrics.baselines.get(*role).is_some_and(|line| line.cost.is_none())) {
        notes.push(format!("the cost of `{role}` is not known for every row, so figures that depend on it are null"));
    }
    if metrics.own_cost.is_none() {
        notes.push("the router's own cost is not known, so its costs are null".to_owned());
    }
    let (weak, strong) = board.ends();
    if curve::pgr(mean(strong), mean(weak), mean(strong)).is_none() {
        notes.push("the dearest model is no better than the cheapest on these rows, so there is no gap to recover".to_owned());
    }
    notes
}
