//! Which calls are made to models, and which never again.

use crate::place::Place;

#[test]
fn an_added_row_buys_its_own_call_only() {
    let place = Place::new();
    place.run(&[]);
    assert_eq!(place.calls(), ["loud one", "loud two"]);
    place.write("words.txt", "one\nthree\ntwo\n");
    place.run(&[]);
    assert_eq!(place.calls(), ["loud three"]);
    assert_eq!(place.rows("shouts").into_values().collect::<Vec<_>>(), ["ONE!", "THREE!", "TWO!"]);
}

#[test]
fn an_added_model_buys_its_own_calls_only() {
    let place = Place::new();
    place.run(&[]);
    place.calls();
    place.change("models: [loud]", "models: [quiet, loud]");
    place.run(&[]);
    assert_eq!(place.calls(), ["quiet one", "quiet two"]);
}

#[test]
fn other_postprocessing_buys_nothing() {
    let place = Place::new();
    place.run(&[]);
    place.calls();
    place.change("models: [loud]", "models: [loud], ending: '?'");
    place.call(&["run", "words.yaml"]).with(0);
    assert!(place.calls().is_empty());
    assert_eq!(place.rows("shouts")["1/loud"], "ONE?");
}

#[test]
fn equal_units_are_called_once() {
    let place = Place::new();
    place.write("words.txt", &"one\n".repeat(1000));
    let finished = place.run(&[]);
    assert_eq!(place.calls(), ["loud one"]);
    assert_eq!(place.rows("shouts").len(), 1000);
    let shouts = finished.lines().into_iter().find(|event| event["event"] == "stage_finished" && event["stage"] == "shouts");
    let shouts = shouts.unwrap();
    assert_eq!((&shouts["calls"], &shouts["reused"]), (&1.into(), &999.into()));
}

#[test]
fn two_stages_and_two_manifests_share_replies() {
    let place = Place::new();
    place.change("  tally:", "  again: { uses: shout, in: { lines: words }, with: { models: [loud], ending: '' } }\n  tally:");
    place.run(&[]);
    assert_eq!(place.calls(), ["loud one", "loud two"]);
    place.write("other.yaml", &crate::place::WORDS.replace("[loud]", "[loud, loud]"));
    place.call(&["run", "other.yaml"]).with(0);
    assert!(place.calls().is_empty());
}

#[test]
fn without_a_budget_nothing_is_paid_for() {
    let place = Place::new();
    let refused = place.call(&["run", "words.yaml"]).with(5);
    assert!(refused.err.contains("--budget"), "{}", refused.err);
    assert!(place.calls().is_empty());
    place.change("[loud]", "[free]");
    place.call(&["run", "words.yaml"]).with(0);
    place.change("[loud]", "[secretive]");
    assert!(place.call(&["run", "words.yaml", "--budget", "1"]).with(5).err.contains("unknown"));
    place.call(&["run", "words.yaml", "--budget", "none"]).with(0);
}

#[test]
fn a_budget_is_hard_and_loses_nothing() {
    let place = Place::new();
    place.write_words(50);
    let stopped = place.call(&["run", "words.yaml", "--budget", "0.02"]).with(5);
    assert!(stopped.err.contains("$0.02 of $0.02"), "{}", stopped.err);
    let first = place.calls();
    assert_eq!(first.len(), 20);
    place.run(&["--budget", "0.03"]);
    let rest = place.calls();
    assert_eq!(rest.len(), 30);
    assert!(rest.iter().all(|call| !first.contains(call)));
}

#[test]
fn a_call_that_may_not_fit_waits_for_those_that_cost_less_than_they_might() {
    let place = Place::new();
    place.write_words(50);
    place.change("[loud]", "[whisper]");
    // Fifty whispers cost half a cent; a single one is held as a tenth of a cent.
    let ran = place.call(&["run", "words.yaml", "--budget", "0.006"]).with(0);
    assert_eq!(place.calls().len(), 50);
    assert!(ran.err.contains("50 calls, 0 reused, $0.005"), "{}", ran.err);
    let events = place.call(&["run", "words.yaml", "--force", "shouts", "--budget", "0", "--format", "json"]).with(0).out;
    assert!(events.contains(r#""spent":{"nano_dollars":0,"unpriced":0}"#), "{events}");
}

#[test]
fn a_stage_has_a_budget_of_its_own() {
    let place = Place::new();
    place.write_words(50);
    place.change("uses: shout", "uses: shout, budget: 0.004");
    let stopped = place.call(&["run", "words.yaml", "--budget", "none"]).with(5);
    assert!(stopped.err.contains("$0.004 of $0.004"), "{}", stopped.err);
    assert_eq!(place.calls().len(), 4);
    place.change("uses: shout", "uses: shout, budget: 0.046");
    place.call(&["run", "words.yaml"]).with(0);
    assert_eq!(place.calls().len(), 46);
    place.change("uses: shout", "uses: shout, budget: much");
    assert!(place.call(&["check", "words.yaml"]).with(2).err.contains("`much` is not an amount in dollars"));
}

#[test]
fn a_failure_names_its_row() {
    let place = Place::new();
    place.write("words.txt", "one\nbusy\n");
    let failed = place.call(&["run", "words.yaml", "--budget", "1"]).with(4);
    assert!(failed.err.contains("line 2: the line is busy"), "{}", failed.err);
}

#[test]
fn a_failed_call_is_not_kept_and_the_others_are() {
    let place = Place::new();
    place.write("words.txt", "one\nbusy\ntwo\n");
    place.call(&["run", "words.yaml", "--budget", "1"]).with(4);
    assert!(place.calls().contains(&"loud one".to_owned()));
    place.write("words.txt", "one\ntwo\nthree\n");
    place.run(&[]);
    let calls = place.calls();
    assert!(!calls.contains(&"loud one".to_owned()) && calls.contains(&"loud three".to_owned()), "{calls:?}");
}
