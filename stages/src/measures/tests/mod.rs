//! Tests of the whole evaluation on small boards whose figures can be computed by hand.

use super::{Case, Decision, Metrics, Policy, evaluate};
use crate::rows::Grade::{self, Correct, Idk, Incorrect};

mod edges;
mod figures;

fn policies() -> Vec<Policy> {
    let pairs = [("Standard", "medium"), ("Complex", "large"), ("Ambiguous", "medium")];
    pairs.map(|(name, model)| Policy { name: name.into(), model: model.into() }).into()
}

fn roles() -> Vec<String> {
    vec!["medium".into(), "large".into()]
}

/// Builds a case in which the medium model's answer costs 1 dollar and the large one's 4.
fn case(text: &str, policy: &str, medium: Grade, large: Grade) -> Case {
    Case {
        id: text.into(),
        text: text.into(),
        policy: policy.into(),
        outcomes: [("medium".to_owned(), medium), ("large".to_owned(), large)].into(),
        cost: [("medium".to_owned(), Some(1.0)), ("large".to_owned(), Some(4.0))].into(),
    }
}

/// Returns six rows, of which the medium model answers two, the large one three, and the oracle four.
fn test_rows() -> Vec<Case> {
    vec![
        case("add a and b", "Standard", Correct, Correct),
        case("add c and d", "Standard", Correct, Incorrect),
        case("root of e", "Complex", Incorrect, Correct),
        case("root of f", "Complex", Idk, Correct),
        case("what is it", "Ambiguous", Incorrect, Incorrect),
        case("who are they", "Ambiguous", Idk, Idk),
    ]
}

fn train_rows() -> Vec<Case> {
    (0..30)
        .map(|row| match row % 3 {
            0 => case(&format!("add g{row} and h{row}"), "Standard", Correct, Correct),
            1 => case(&format!("root of i{row}"), "Complex", Incorrect, Correct),
            _ => case(&format!("what is j{row}"), "Ambiguous", Incorrect, Incorrect),
        })
        .collect()
}

fn decisions(rows: &[[f64; 3]]) -> Vec<Decision> {
    rows.iter().map(|row| Decision { probabilities: row.to_vec() }).collect()
}

/// Returns decisions with one mistake in six: the fourth row goes to the medium model.
fn mostly_right() -> Vec<Decision> {
    decisions(&[[0.7, 0.1, 0.2], [0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.5, 0.4, 0.1], [0.2, 0.2, 0.6], [0.3, 0.05, 0.65]])
}

fn measured(test: &[Case], decisions: &[Decision], own_cost: Option<f64>) -> Metrics {
    evaluate(&policies(), &roles(), &train_rows(), test, decisions, own_cost, 3).expect("the board is sound")
}

fn near(found: impl Into<Option<f64>>, wanted: f64) {
    let found = found.into();
    assert!(found.is_some_and(|found| (found - wanted).abs() < 1e-12), "{found:?} is not {wanted}");
}
