//! Tests of unknown prices, models without a gap, other numbers of models, and input that does not fit.

use std::collections::BTreeMap;

use super::*;
use crate::measures::{EvaluationError, board::Board, routed::Routed};

#[test]
fn unknown_prices_are_null_and_so_is_what_rests_on_them() {
    let mut test = test_rows();
    test[2].cost.insert("large".into(), None);
    let metrics = measured(&test, &mostly_right(), Some(0.0));
    assert_eq!((metrics.cost, metrics.cost_share, metrics.savings, metrics.hull_area), (None, None, None, None));
    assert_eq!((metrics.baselines["large"].cost, metrics.baselines["medium"].cost), (None, Some(6.0)));
    assert_eq!((metrics.baselines["medium"].cost_share, metrics.baselines["random_mix"].accuracy), (None, None));
    assert!(metrics.notes.iter().any(|note| note.contains("`large` is not known")), "{:?}", metrics.notes);
    let metrics = measured(&test_rows(), &mostly_right(), None);
    assert_eq!((metrics.cost, metrics.own_cost, metrics.savings), (None, None, None));
    assert_eq!((metrics.cost_share, metrics.hull_area), (None, None));
    near(metrics.baselines["large"].cost, 24.0);
}

#[test]
fn a_strong_model_that_is_no_better_leaves_no_gap() {
    let test = vec![case("a", "Standard", Correct, Correct), case("b", "Standard", Correct, Incorrect)];
    let metrics = measured(&test, &decisions(&[[0.9, 0.05, 0.05], [0.2, 0.7, 0.1]]), Some(0.0));
    assert_eq!((metrics.apgr, metrics.cpt["80"], metrics.intervals["apgr"]), (None, None, None));
    assert_eq!((metrics.baselines["oracle"].apgr, metrics.baselines["random_mix"].apgr), (None, None));
    assert!(metrics.notes.iter().any(|note| note.contains("no gap to recover")), "{:?}", metrics.notes);
}

#[test]
fn one_model_and_three_models() {
    let one = [Policy { name: "All".into(), model: "only".into() }];
    let row = |outcomes: &[(&str, Grade)], policy: &str| Case {
        id: "1".into(),
        text: "x".into(),
        policy: policy.into(),
        outcomes: outcomes.iter().map(|(role, outcome)| ((*role).to_owned(), *outcome)).collect(),
        cost: outcomes.iter().enumerate().map(|(place, (role, _))| ((*role).to_owned(), Some(place as f64 + 1.0))).collect(),
    };
    let test = [row(&[("only", Correct)], "All")];
    let metrics = evaluate(&one, &["only".into()], &[], &test, &[Decision { probabilities: vec![1.0] }], Some(0.0), 1).unwrap();
    assert_eq!((metrics.accuracy, metrics.apgr, metrics.beats_cheap_routers), (1.0, None, None));

    let roles = ["small", "middle", "great"].map(String::from);
    let policies: Vec<Policy> = roles.iter().map(|role| Policy { name: format!("To_{role}"), model: role.clone() }).collect();
    let middle = row(&[("small", Incorrect), ("middle", Correct), ("great", Correct)], "To_middle");
    let great = row(&[("small", Incorrect), ("middle", Incorrect), ("great", Correct)], "To_great");
    let chosen = decisions(&[[0.1, 0.6, 0.3], [0.1, 0.6, 0.3]]);
    let metrics = evaluate(&policies, &roles, &[], &[middle, great], &chosen, Some(0.0), 1).unwrap();
    assert_eq!((metrics.accuracy, metrics.cost), (0.5, Some(4.0)));
    assert_eq!((metrics.baselines["oracle"].accuracy, metrics.baselines["oracle"].cost), (Some(1.0), Some(5.0)));
    assert_eq!(metrics.outcomes["incorrect/correct/correct"], 1);
}

#[test]
fn equal_probabilities_pick_the_first_policy_and_sure_ones_rank_finitely() {
    let (policies, roles, test) = (policies(), roles(), test_rows());
    let board = Board::new(&policies, &roles, &test[..3]).unwrap();
    let tied = [[0.4, 0.4, 0.2], [0.0, 1.0, 0.0], [2.0, 0.0, 0.0]];
    let routed = Routed::new(&board, &decisions(&tied)).unwrap();
    assert_eq!(routed.predicted, [0, 1, 0]);
    assert_eq!(routed.chosen, [0, 1, 0]);
    near(routed.confidence[2], 1.0);
    let scores = routed.scores.unwrap();
    assert!(scores.iter().all(|score| score.is_finite()), "{scores:?}");
    assert!(scores[1] > scores[0] && scores[0] > scores[2], "{scores:?}");
    near(scores[0], (0.4_f64 / 0.6).ln());
}

#[test]
fn equal_inputs_give_equal_bytes_without_infinities() {
    // Decisions of probability 1: the probability of 0 beside them must not become an infinite score.
    let sure = decisions(&[[1., 0., 0.], [0., 1., 0.], [0., 1., 0.], [1., 0., 0.], [0., 0., 1.], [0., 0., 1.]]);
    let print = || serde_json::to_string(&measured(&test_rows(), &sure, Some(0.0))).unwrap();
    let text = print();
    assert_eq!(text, print());
    // serde_json writes a NaN or an infinity as null. With known prices and a gap, nothing else is null.
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut nulls = Vec::new();
    find_nulls(&value, "", &mut nulls);
    let expected =
        ["/large/apgr", "/large/policy_accuracy", "/medium/apgr", "/medium/policy_accuracy", "/oracle/policy_accuracy"];
    let expected: Vec<String> =
        expected.iter().chain(&["/random_mix/policy_accuracy"]).map(|path| format!("/baselines{path}")).collect();
    assert_eq!(nulls, expected);
}

#[test]
fn what_does_not_fit_is_an_error_that_names_it() {
    let error = |policies: &[Policy], roles: &[String], test: &[Case], decisions: &[Decision]| {
        evaluate(policies, roles, &train_rows(), test, decisions, Some(0.0), 1).unwrap_err()
    };
    let (policies, roles, rows, sound) = (policies(), roles(), test_rows(), mostly_right());
    assert_eq!(error(&policies, &roles, &[], &[]), EvaluationError::NoTestRows);
    assert_eq!(error(&policies, &[], &rows, &sound), EvaluationError::NoRoles);
    assert_eq!(error(&policies, &["ngrams".into()], &rows, &sound), EvaluationError::ReservedRole("ngrams".into()));
    assert_eq!(error(&policies, &roles, &rows, &sound[1..]), EvaluationError::DecisionCount { decisions: 5, rows: 6 });
    let message = error(&policies, &roles[..1], &rows, &sound).to_string();
    assert_eq!(message, "policy `Complex` sends to `large`, which has no answers here: give it one of `medium`");
    let mut changed = rows.clone();
    changed[1].outcomes.remove("large");
    let missing = EvaluationError::MissingOutcome { id: "add c and d".into(), role: "large".into() };
    assert_eq!(error(&policies, &roles, &changed, &sound), missing);
    let mut changed = rows.clone();
    changed[0].policy = "Other".into();
    assert!(
        matches!(error(&policies, &roles, &changed, &sound), EvaluationError::UnknownPolicy { policy, .. } if policy == "Other")
    );
    for unsound in [vec![0.5, 0.5], vec![0.0; 3], vec![f64::NAN, 0.5, 0.5], vec![-0.1, 0.6, 0.5], vec![f64::INFINITY, 0.0, 0.0]] {
        let mut changed = sound.clone();
        changed[2].probabilities = unsound;
        assert!(
            matches!(error(&policies, &roles, &rows, &changed), EvaluationError::Probabilities { id, .. } if id == "root of e")
        );
    }
}

fn find_nulls(value: &serde_json::Value, path: &str, nulls: &mut Vec<String>) {
    match value {
        serde_json::Value::Null => nulls.push(path.to_owned()),
        serde_json::Value::Object(fields) => {
            let sorted: BTreeMap<_, _> = fields.iter().collect();
            for (name, value) in sorted {
                find_nulls(value, &format!("{path}/{name}"), nulls);
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| find_nulls(value, &format!("{path}/[]"), nulls)),
        _ => {}
    }
}
