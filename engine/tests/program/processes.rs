//! Programs that are stopped, killed, or run beside each other.

use std::{
    process::Child,
    time::{Duration, Instant},
};

use crate::place::{Ended, Place, WORDS, ended};

const RUN: [&str; 6] = ["run", "words.yaml", "--format", "json", "--budget", "10"];

fn start(place: &Place, wait: u64) -> Child {
    place.command(&RUN, wait).spawn().unwrap()
}

/// Waits until so many calls were made.
pub(crate) fn until_calls(place: &Place, count: usize) {
    let started = Instant::now();
    let made = || std::fs::read_to_string(place.path("calls.txt")).unwrap_or_default().lines().count();
    while made() < count {
        assert!(started.elapsed() < Duration::from_mins(1), "{} calls in a minute", made());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(unix)]
pub(crate) fn signal(child: &Child, name: &str) {
    let sent = std::process::Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// What an undisturbed run gives.
fn undisturbed(count: usize) -> String {
    let place = Place::new();
    place.write_words(count);
    place.run(&[]);
    place.call(&["show", "words.yaml", "shouts"]).with(0).out
}

#[test]
fn two_runs_at_once_buy_each_reply_once() {
    let place = Place::new();
    place.write_words(600);
    let runs: Vec<_> = (0..2).map(|_| start(&place, 30)).collect();
    let ended: Vec<Ended> = runs.into_iter().map(|child| ended(child).with(0)).collect();
    assert_eq!(place.calls().len(), 600);
    assert_eq!(ended.iter().map(|ended| ended.ran().len()).sum::<usize>(), 3, "each stage ran in one of them");
    assert_eq!(place.call(&["show", "words.yaml", "shouts"]).with(0).out, undisturbed(600));
}

#[test]
fn two_manifests_at_once_share_the_calls_that_both_need() {
    let place = Place::new();
    place.write_words(600);
    place.write("other.yaml", &WORDS.replace("models: [loud]", "models: [loud], ending: '?'"));
    let one = start(&place, 30);
    let other = place.command(&["run", "other.yaml", "--budget", "10"], 30).spawn().unwrap();
    ended(one).with(0);
    ended(other).with(0);
    assert_eq!(place.calls().len(), 600);
}

/// More words than rows are under way at once, several times.
const MANY: usize = 4000;
const IN_FLIGHT: usize = 1024;

#[cfg(unix)]
#[test]
fn a_killed_run_goes_on_where_it_was() {
    let place = Place::new();
    place.write_words(MANY);
    for kill in 1..4 {
        let child = start(&place, 5);
        until_calls(&place, kill * 1000);
        signal(&child, "KILL");
        ended(child);
    }
    place.run(&[]);
    // Calls under way at a kill were made and not yet kept; at most as many as rows are under way at once.
    let mut calls = place.calls();
    assert!(calls.len() <= MANY + 3 * IN_FLIGHT, "{}", calls.len());
    calls.dedup();
    assert_eq!(calls.len(), MANY);
    assert_eq!(place.call(&["show", "words.yaml", "shouts"]).with(0).out, undisturbed(MANY));
    place.call(&["cache", "verify"]).with(0);
}

#[cfg(unix)]
#[test]
fn a_stage_goes_on_behind_its_latest_checkpoint() {
    let place = Place::new();
    place.write_words(40);
    place
        .write("words.yaml", &format!("{WORDS}  top: {{ uses: climb, in: {{ lines: words }}, with: {{ milliseconds: 20 }} }}\n"));
    let whole = {
        let other = Place::new();
        other.write_words(40);
        other.write(
            "words.yaml",
            &format!("{WORDS}  top: {{ uses: climb, in: {{ lines: words }}, with: {{ milliseconds: 0 }} }}\n"),
        );
        other.run(&["top"]);
        other.rows("top")
    };
    let climb = |words: &[&str]| -> u64 {
        let told = place.run(&[&["top"], words].concat());
        let notes = told.lines();
        let note =
            notes.iter().find_map(|event| event["message"].as_str()?.strip_prefix("goes on behind step ").map(str::to_owned));
        note.unwrap().parse().unwrap()
    };
    let child = place.command(&["run", "words.yaml", "top", "--quiet"], 0).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(400));
    signal(&child, "KILL");
    ended(child);
    let step = climb(&[]);
    assert!(step > 0 && step < 40, "{step}");
    assert_eq!(place.rows("top"), whole);
    // One that is forced starts anew, also where a run left something.
    let child = place.command(&["run", "words.yaml", "top", "--force", "top", "--quiet"], 0).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(400));
    signal(&child, "KILL");
    ended(child);
    assert_eq!(climb(&["--force", "top"]), 0);
    assert_eq!(place.rows("top"), whole);
}

#[cfg(unix)]
#[test]
fn the_first_signal_keeps_what_is_under_way() {
    for name in ["INT", "TERM", "HUP"] {
        let place = Place::new();
        place.write_words(MANY);
        let child = start(&place, 50);
        until_calls(&place, 10);
        signal(&child, name);
        let stopped = ended(child).with(130);
        assert!(stopped.err.contains("Stopping"), "{}", stopped.err);
        let first = place.calls();
        assert!(first.len() < MANY, "{}", first.len());
        place.run(&[]);
        let rest = place.calls();
        assert_eq!(first.len() + rest.len(), MANY, "nothing was bought twice");
    }
}

#[cfg(unix)]
#[test]
fn the_second_signal_stops_at_once() {
    let place = Place::new();
    place.change("uses: count", "uses: wait, with: { milliseconds: 60000, stubborn: true }");
    let child = place.command(&["run", "words.yaml", "--budget", "10"], 0).spawn().unwrap();
    let started = Instant::now();
    until_calls(&place, 2);
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, "INT");
    ended(child).with(130);
    assert!(started.elapsed() < Duration::from_secs(30));
    assert_eq!(place.call(&["show", "words.yaml", "shouts"]).with(0).lines().len(), 2, "what was done is kept");
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_told_and_what_was_kept_stays() {
    let place = Place::new();
    // No file may grow beyond a few blocks: what a full disk looks like to a program.
    place.write_words(60_000);
    let mut limited = std::process::Command::new("sh");
    let line = "ulimit -f 64; trap '' XFSZ; exec \"$0\" \"$@\"";
    let program = place.command(&["run", "words.yaml", "words"], 0);
    limited.arg("-c").arg(line).arg(program.get_program()).args(program.get_args()).current_dir(place.path("."));
    let output = limited.output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{err}");
    place.run(&["words"]);
    place.call(&["cache", "verify"]).with(0);
}
