//! Tests of losses, metrics, slopes and prepared rows against those of TRL.

use serde_json::Value;

use super::*;
use crate::{
    models::Target,
    tokenizer::Pieces,
    train::head::{logit_gradient, predict},
};

const REFERENCE: &str = include_str!("../../../tests/reference/orpo.json");

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

/// Asserts that a number is close to TRL's, which computes in 32 bits and loses digits near 0.
fn close(found: f64, expected: &Value, what: &str) {
    let expected = number(expected);
    assert!((found - expected).abs() < 1e-6 + 1e-4 * expected.abs(), "{what}: {found}, not {expected}");
}

#[test]
fn ratios_and_their_slopes_are_those_of_trl() {
    let reference: Value = serde_json::from_str(REFERENCE).unwrap();
    for case in list(&reference["odds"]) {
        let beta = number(&case["beta"]);
        for pair in list(&case["pairs"]) {
            let Comparison { log_odds, log_ratio, slopes } = compare(number(&pair["chosen"]), number(&pair["rejected"]));
            let what = pair.to_string();
            close(log_odds, &pair["log_odds"], &what);
            close(log_ratio, &pair["log_odds_ratio"], &what);
            close(-beta * log_ratio, &pair["loss"], &what);
            close(-beta * slopes[0], &pair["grad_chosen"], &what);
            close(-beta * slopes[1], &pair["grad_rejected"], &what);
        }
    }
}

#[test]
fn a_chosen_answer_may_be_certain() {
    let Comparison { log_ratio, slopes, .. } = compare(0.0, -2.0);
    assert_eq!(log_ratio, 0.0);
    // e^-2 / (1 - e^-2), the limit of the quotient.
    assert!((slopes[0] - (-2.0_f64).exp() / (1.0 - (-2.0_f64).exp())).abs() < 1e-12, "{slopes:?}");
    assert_eq!(slopes[1], 0.0);
}

/// Returns a micro-batch of the reference: its rows, the logits of both sides' sequences one after another, and the batch.
fn micro_batch(case: &Value) -> (Vec<OrpoRow>, Vec<f32>, Batch) {
    let rows: Vec<OrpoRow> = serde_json::from_value(case["pairs"].clone()).unwrap();
    let mut batch = Batch::empty(1, 1);
    let mut logits = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        for ((prompt, answer), side) in row.sides().into_iter().zip(["logits_chosen", "logits_rejected"]) {
            let first = batch.targets.len();
            let tokens = prompt.iter().chain(answer).skip(1);
            batch.targets.extend(tokens.map(|&token| Target { place: 0, token }));
            batch.sequences.push((first..batch.targets.len()).collect());
            let places = list(&case[side][index]).iter().take(batch.targets.len() - first);
            logits.extend(places.flat_map(list).map(|logit| number(logit) as f32));
        }
    }
    (rows, logits, batch)
}

#[test]
fn micro_batches_have_the_losses_figures_and_gradients_of_trl() {
    let reference: Value = serde_json::from_str(REFERENCE).unwrap();
    for case in list(&reference["whole"]) {
        let (rows, mut logits, batch) = micro_batch(case);
        let settings = Orpo { beta: number(&case["beta"]) };
        let objective = Odds::new(&settings, &rows);
        let predictions = predict(&mut logits, &batch.targets);
        let all: Vec<usize> = (0..rows.len()).collect();
        let scored = [Scored { rows: &all, batch: &batch, predictions: &predictions }];
        let Weighed { loss, slopes, figures } = objective.weigh(&scored, Share { targets: 1, micro_batches: 1 });
        close(loss, &case["loss"], "loss");
        for (name, figure) in figures.into_iter().filter(|(name, _)| !name.starts_with("logits")) {
            close(figure, &case["metrics"][name], name);
        }
        // Probabilities become gradients. The last place of a sequence predicts nothing, so it is not compared.
        logit_gradient(&mut logits, &batch.targets, &slopes[0]);
        let mut found = logits.iter();
        for (index, row) in rows.iter().enumerate() {
            for ((prompt, answer), side) in row.sides().into_iter().zip(["grad_chosen", "grad_rejected"]) {
                let places = list(&case[side][index]).iter().take(prompt.len() + answer.len() - 1);
                for expected in places.flat_map(list) {
                    close(f64::from(*found.next().unwrap()), expected, side);
                }
            }
        }
        assert_eq!(found.next(), None);
        // Each of two micro-batches has half of the weight.
        let Weighed { loss: half, .. } = objective.weigh(&scored, Share { targets: 1, micro_batches: 2 });
        assert!((2.0 * half - loss).abs() < 1e-12);
    }
}

fn scratch() -> Tokenizer {
    Tokenizer::train(["what is 3 plus 4? Policy: A"; 40].into_iter().map(str::to_owned), 300, Pieces::Elements).unwrap()
}

fn prepared(row: &str, max_length: Option<usize>) -> Result<Prepared<OrpoRow>, PrepareError> {
    Orpo::default().prepare(&scratch(), &[serde_json::from_str(row).unwrap()], max_length)
}

const TURNS: &str = r#"{"prompt": [{"role": "user", "content": "what"}], "chosen": [{"role": "assistant", "content": "3"}], "rejected": [{"role": "assistant", "content": "4"}]}"#;

#[test]
fn answers_end_with_the_end_token_and_are_cut_to_what_the_prompt_leaves() {
    let end = scratch().end().unwrap();
    for row in [TURNS, r#"{"prompt": "what is", "chosen": " 3", "rejected": " 4 4"}"#] {
        let whole = prepared(row, None).unwrap().rows.remove(0);
        assert_eq!((whole.chosen_ids.last(), whole.rejected_ids.last()), (Some(&end), Some(&end)));
        let prompt = whole.prompt_ids.len();
        let cut = prepared(row, Some(prompt + 1)).unwrap();
        assert_eq!((cut.rows.len(), cut.cut, cut.dropped), (1, 1, 0));
        assert_eq!(cut.rows[0].chosen_ids, whole.chosen_ids[..1]);
        let none = prepared(row, Some(prompt)).unwrap();
        assert_eq!((none.rows.len(), none.dropped), (0, 1));
    }
    assert!(prepared(r#"{"prompt": "what", "chosen": "3"}"#, None).unwrap_err().to_string().contains("`rejected` is missing"));
}

#[test]
fn a_token_that_an_answer_changes_is_the_answers() {
    let tokenizer = scratch();
    let row = prepared(r#"{"prompt": "3 w", "chosen": "hat", "rejected": " 3"}"#, None).unwrap().rows.remove(0);
    let text = |ids: &[u32]| tokenizer.decode(ids).unwrap();
    assert_eq!((text(&row.prompt_ids).as_str(), text(&row.chosen_ids).as_str()), ("3 ", "what"));
    assert_eq!((text(&row.rejected_prompt_ids.clone().unwrap()).as_str(), text(&row.rejected_ids).as_str()), ("3 w", " 3"));
    // At most one token is taken off the prompt, though "i" and "is" differ from the second token on.
    let deep = prepared(r#"{"prompt": "what i", "chosen": "s 3", "rejected": " 3"}"#, None).unwrap().rows.remove(0);
    assert_eq!((text(&deep.prompt_ids).as_str(), text(&deep.chosen_ids).as_str()), ("what is", " 3"));
    // All tokens but the first are predicted, and the common beginning of both sides is computed once.
    let laid_out = row.lay_out();
    let [chosen, rejected] = row.sides().map(|(prompt, answer)| prompt.len() + answer.len());
    assert_eq!(laid_out.tokens(), chosen + rejected);
    assert!(laid_out.width() < chosen + rejected && laid_out.targets() == laid_out.width() - 1);
}

#[test]
fn a_pair_without_a_prompt_is_refused_by_its_id() {
    let mut rows = [OrpoRow { chosen_ids: vec![1], rejected_ids: vec![2], ..OrpoRow::default() }];
    assert_eq!(Orpo::size(&rows[0], None), [2, 2]);
    let (orpo, training) = (Orpo::default(), Training::default());
    let Err(error) = orpo.objective(&training, &mut rows, &["pair".to_owned()]) else { panic!("it is taken") };
    assert!(error.to_string().contains("`pair`"), "{error}");
}
