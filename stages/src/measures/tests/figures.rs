//! Tests of boards on which every figure is defined.

use super::*;

#[test]
fn figures_of_a_small_board() {
    let metrics = measured(&test_rows(), &mostly_right(), Some(0.6));
    assert_eq!(metrics.rows, 6);
    near(metrics.policy_accuracy, 5.0 / 6.0);
    near(metrics.accuracy, 0.5);
    // One call to large, five to medium, and the router itself.
    near(metrics.cost, 9.6);
    near(metrics.cost_share, 0.4);
    assert_eq!(metrics.calls, [("medium".to_owned(), 5), ("large".to_owned(), 1)].into());
    near(metrics.regret, 4.0 / 6.0 - 0.5);
    // By rising doubt the order is rows 3, 4, 5, 2, 1, 6, with gains +1, +1, 0, -1, 0, 0 on a gap of 1.
    near(metrics.apgr, (0.5 + 1.5 + 2.0 + 1.5 + 1.0 + 1.0) / 6.0);
    near(metrics.cpt["50"], 0.5 / 6.0);
    // The large model's three right answers are reached with one call to it, at 9 dollars instead of 24; 0.6 go to the router.
    near(metrics.savings, 1.0 - 9.0 / 24.0 - 0.6 / 24.0);
    // The hull rises from the medium model's point to two calls, and is a tenth of a dollar, the router's own cost, further right.
    near(metrics.hull_area, (f64::midpoint(1.0 / 3.3, 1.0 / 3.0) * 0.1 + 0.5 + 1.9 * 2.0 / 3.0) / 3.0);
    assert_eq!(
        metrics.confusion["Complex"],
        [("Standard".to_owned(), 1), ("Complex".to_owned(), 1), ("Ambiguous".to_owned(), 0)].into()
    );
    near(metrics.policies["Standard"].precision, 2.0 / 3.0);
    near(metrics.policies["Complex"].recall, 0.5);
    let cells = ["correct/correct", "correct/incorrect", "idk/correct", "idk/idk", "incorrect/correct", "incorrect/incorrect"];
    assert_eq!(metrics.outcomes, cells.map(|cell| (cell.to_owned(), 1)).into());
    let confidence = [0.7, 0.8, 0.8, 0.5, 0.6, 0.65];
    let squares =
        confidence.iter().enumerate().map(|(row, share)| if row == 3 { share * share } else { (1.0_f64 - share).powi(2) });
    near(metrics.calibration.brier, squares.sum::<f64>() / 6.0);
    let [low, high] = metrics.intervals["policy_accuracy"].unwrap();
    assert!(low < 5.0 / 6.0 && high > 5.0 / 6.0 && high <= 1.0, "[{low}, {high}]");
}

#[test]
fn every_yardstick_stands_beside_the_router() {
    let metrics = measured(&test_rows(), &mostly_right(), Some(0.6));
    let names: Vec<&str> = metrics.baselines.keys().map(String::as_str).collect();
    assert_eq!(names, ["duplicates", "large", "medium", "neighbours", "ngrams", "oracle", "random_mix", "word_count"]);
    near(metrics.baselines["medium"].accuracy, 2.0 / 6.0);
    near(metrics.baselines["medium"].cost_share, 0.25);
    near(metrics.baselines["large"].accuracy, 0.5);
    near(metrics.baselines["large"].cost_share, 1.0);
    // Only the large model answers two of the rows. If no model does, the cheapest is asked.
    near(metrics.baselines["oracle"].accuracy, 4.0 / 6.0);
    near(metrics.baselines["oracle"].cost, 12.0);
    near(metrics.baselines["oracle"].apgr, (0.5 + 1.5 + 2.0 + 2.0 + 2.0 + 1.5) / 6.0);
    // 9.6 dollars buy a fifth of the way from 6 to 24.
    near(metrics.baselines["random_mix"].accuracy, 2.0 / 6.0 + 0.2 / 6.0);
    near(metrics.baselines["random_mix"].cost, 9.6);
    near(metrics.baselines["random_mix"].apgr, 0.5);
    near(metrics.baselines["ngrams"].policy_accuracy, 1.0);
    assert_eq!(metrics.mcnemar.len(), 3);
    assert!(metrics.mcnemar.values().all(|test| test.p > 0.0 && test.p <= 1.0));
}

#[test]
fn a_router_behind_a_cheap_one_is_reported() {
    let guess = decisions(&[[0.1, 0.8, 0.1]; 6]);
    let metrics = measured(&test_rows(), &guess, Some(0.0));
    assert_eq!(metrics.beats_cheap_routers, Some(false));
    assert!(metrics.notes[0].starts_with("the router does not beat `"), "{:?}", metrics.notes);
    assert!(metrics.notes[0].contains("in policy accuracy: 0.333 against "), "{:?}", metrics.notes);
    let perfect = [[0.9, 0.0, 0.1], [0.9, 0.0, 0.1], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.1, 0.0, 0.9], [0.1, 0.0, 0.9]];
    let metrics = measured(&test_rows(), &decisions(&perfect), Some(0.0));
    assert_eq!(metrics.beats_cheap_routers, Some(false), "`ngrams` has every policy right too, and a draw is no victory");
    assert!(
        metrics.notes.contains(&"the router does not beat `ngrams` in policy accuracy: 1.000 against 1.000".to_owned()),
        "{:?}",
        metrics.notes
    );
    // Cheap routers that were trained on a single policy learn nothing.
    let train: Vec<Case> = train_rows().into_iter().filter(|case| case.policy == "Ambiguous").collect();
    let metrics = evaluate(&policies(), &roles(), &train, &test_rows(), &decisions(&perfect), Some(0.0), 3).unwrap();
    near(metrics.policy_accuracy, 1.0);
    assert_eq!((metrics.beats_cheap_routers, metrics.notes), (Some(true), Vec::new()));
}

#[test]
fn duplicates_bound_what_a_function_of_the_text_reaches() {
    let mut test = test_rows();
    // Two more rows have the text of the first but need the other model, so they are the majority of its group.
    test.push(case("add a and b", "Complex", Incorrect, Correct));
    test.push(case("add a and b", "Complex", Incorrect, Correct));
    let rows = [[0.8, 0.1, 0.1]; 8];
    let metrics = measured(&test, &decisions(&rows), Some(0.0));
    let line = &metrics.baselines["duplicates"];
    near(line.policy_accuracy, 7.0 / 8.0);
    // All three that go to the large model are right, so no answer is lost.
    // The gains are 1, 1, 2/3 three times, 0, 0 and -1, on a gap of 3.
    near(line.apgr, 22.5 / 24.0);
    near(line.accuracy, 6.0 / 8.0);
    near(line.cost, 5.0 * 4.0 + 3.0);
}
