//! The whole evaluation. Takes policies, labelled questions with every model's outcome, and a router's decisions; gives all metrics.

use std::collections::BTreeMap;

use super::{
    baselines,
    board::{Board, mean, places_of_policies},
    calibration, classification,
    curve::{self, Curve},
    hull,
    input::{Case, Decision, EvaluationError, Policy},
    metrics::{Calibration, Metrics},
    notes, resampling,
    routed::Routed,
    yardsticks::{self, Baseline},
};

/// Measures a router's decisions on `test`, and the baselines that they have to be compared with.
///
/// `roles` are in order of cost. `decisions` has one for each row of `test`, in the same order. `own_cost` is the cost of the router itself
/// on all of these rows, in dollars, or `None` if it is unknown. The cheap routers are trained on `train`. `seed` is the bootstrap's.
///
/// # Errors
/// The decisions are not one for each row, or roles, policies and rows do not fit each other.
pub fn evaluate(
    policies: &[Policy],
    roles: &[String],
    train: &[Case],
    test: &[Case],
    decisions: &[Decision],
    own_cost: Option<f64>,
    seed: u64,
) -> Result<Metrics, EvaluationError> {
    let board = Board::new(policies, roles, test)?;
    let routed = Routed::new(&board, decisions)?;
    let cheap = cheap_routers(&board, train)?;

    let own_cost = own_cost.filter(|cost| cost.is_finite());
    let cost = board.cost(&routed.chosen).zip(own_cost).map(|(answers, own)| answers + own);
    let hits = board.hits(&routed.chosen);
    let right = routed.right(&board);
    let counts = classification::confusion(&board.gold, &routed.predicted, policies.len());
    let classes = classification::per_class(&counts);
    let accuracy = mean(&hits);
    let oracle = yardsticks::oracle(&board);

    let priced = priced_curve(&board, &routed).zip(own_cost.map(|cost| cost / test.len() as f64));
    let mut lines: BTreeMap<String, Baseline> =
        roles.iter().enumerate().map(|(place, role)| (role.clone(), yardsticks::single(&board, place))).collect();
    lines.insert("random_mix".into(), yardsticks::random_mix(&board, cost));
    lines.insert("duplicates".into(), yardsticks::duplicates(&board));
    let regret = oracle.accuracy.map_or(0.0, |best| best - accuracy);
    lines.insert("oracle".into(), oracle);
    let mut mcnemar = BTreeMap::new();
    for (name, other) in &cheap {
        lines.insert((*name).into(), yardsticks::router(&board, other));
        mcnemar.insert((*name).into(), resampling::mcnemar(&right, &other.right(&board)));
    }

    let mut metrics = Metrics {
        rows: test.len(),
        policy_accuracy: classification::accuracy(&counts).unwrap_or(0.0),
        accuracy,
        cost,
        own_cost,
        cost_share: board.cost_share(cost),
        calls: calls(&board, &routed),
        apgr: routed.apgr(&board),
        cpt: thresholds(&board, &routed),
        savings: priced.as_ref().and_then(|(line, own)| savings(line, *own)),
        hull_area: priced.as_ref().and_then(|(line, own)| hull_area(line, *own)),
        regret,
        macro_f1: classification::macro_f1(&classes),
        policies: policies.iter().map(|policy| policy.name.clone()).zip(classes).collect(),
        confusion: named(policies, &counts),
        outcomes: board.outcomes(),
        calibration: Calibration {
            ece: calibration::expected_calibration_error(&routed.confidence, &right),
            brier: calibration::brier(&routed.confidence, &right),
        },
        baselines: lines,
        intervals: intervals(&board, &routed, &hits, &right, seed),
        mcnemar,
        beats_cheap_routers: None,
        notes: Vec::new(),
    };
    let behind = notes::behind(&metrics, &cheap);
    metrics.beats_cheap_routers = (!cheap.is_empty()).then_some(behind.is_empty());
    metrics.notes = behind;
    metrics.notes.extend(notes::cautions(&metrics, &board, train));
    Ok(metrics)
}

/// Trains the cheap routers, and returns their decisions on the test rows. Returns none without training rows.
fn cheap_routers(board: &Board<'_>, train: &[Case]) -> Result<Vec<(&'static str, Routed)>, EvaluationError> {
    let labels = places_of_policies(board.policies, train)?;
    let texts: Vec<&str> = train.iter().map(|case| case.text.as_str()).collect();
    let routers = baselines::ALL.iter().filter(|_| !train.is_empty());
    let decide = |&(name, fit): &(&'static str, baselines::Fit)| {
        let router = fit(&texts, &labels, board.policies.len());
        let decision = |case: &Case| Decision { probabilities: router.probabilities(&case.text) };
        let decisions: Vec<Decision> = board.test.iter().map(decision).collect();
        Ok((name, Routed::new(board, &decisions)?))
    };
    routers.map(decide).collect()
}

fn calls(board: &Board<'_>, routed: &Routed) -> BTreeMap<String, usize> {
    let count = |role: usize| routed.chosen.iter().filter(|chosen| **chosen == role).count();
    board.roles.iter().enumerate().map(|(place, role)| (role.clone(), count(place))).collect()
}

fn thresholds(board: &Board<'_>, routed: &Routed) -> BTreeMap<String, Option<f64>> {
    let (weak, strong) = board.ends();
    let threshold = |share: f64| curve::cpt(routed.scores.as_ref()?, weak, strong, share);
    [("20", 0.2), ("50", 0.5), ("80", 0.8)].map(|(name, share)| (name.to_owned(), threshold(share))).into()
}

/// Returns the call-performance curve with the costs of the answers, if these are known and the router ranks.
fn priced_curve(board: &Board<'_>, routed: &Routed) -> Option<Curve> {
    let (low, high) = board.end_costs()?;
    let (weak, strong) = board.ends();
    Some(curve::curve(routed.scores.as_ref()?, weak, strong, Some((&low, &high))))
}

/// Returns the share of the dearest model's cost that the router saves at its quality. `own` is the router's own cost of a question.
fn savings(line: &Curve, own: f64) -> Option<f64> {
    let (quality, cost) = (*line.quality.last()?, *line.cost.as_ref()?.last()?);
    Some(1.0 - curve::quality_neutral_cost(line, quality)? - own / cost)
}

/// Returns the mean height of the curve's hull between the costs of the cheapest and the dearest model. `own` is the router's own cost of a
/// question.
fn hull_area(line: &Curve, own: f64) -> Option<f64> {
    let costs = line.cost.as_ref()?;
    let points: Vec<(f64, f64)> = costs.iter().map(|cost| cost + own).zip(line.quality.iter().copied()).collect();
    hull::area(&points, *costs.first()?, *costs.last()?)
}

fn named(policies: &[Policy], counts: &[Vec<u64>]) -> BTreeMap<String, BTreeMap<String, u64>> {
    let names = || policies.iter().map(|policy| policy.name.clone());
    names().zip(counts.iter().map(|row| names().zip(row.iter().copied()).collect())).collect()
}

fn intervals(board: &Board<'_>, routed: &Routed, hits: &[f64], right: &[bool], seed: u64) -> BTreeMap<String, Option<[f64; 2]>> {
    let rows = board.test.len();
    let pick = |values: &[f64], drawn: &[usize]| drawn.iter().map(|&row| values[row]).collect::<Vec<f64>>();
    let right: Vec<f64> = right.iter().map(|&right| f64::from(u8::from(right))).collect();
    let share = |values: &[f64]| resampling::interval(rows, seed, |drawn| Some(mean(&pick(values, drawn))));
    let (weak, strong) = board.ends();
    let ranking = |drawn: &[usize]| curve::apgr(&pick(routed.scores.as_ref()?, drawn), &pick(weak, drawn), &pick(strong, drawn));
    [
        ("policy_accuracy".to_owned(), share(&right)),
        ("accuracy".to_owned(), share(hits)),
        // If the strong model is no better on these rows, it may be better on some resamples by chance. An interval of these would mislead.
        ("apgr".to_owned(), routed.apgr(board).and_then(|_| resampling::interval(rows, seed, ranking))),
    ]
    .into()
}
