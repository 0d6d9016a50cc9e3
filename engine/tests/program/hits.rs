//! What runs again after a change, and what does not.

use crate::place::{Place, WORDS};

const ALL: [&str; 3] = ["shouts", "tally", "words"];

#[test]
fn the_second_run_runs_nothing() {
    let place = Place::new();
    assert_eq!(place.run(&[]).ran(), ALL);
    let again = place.run(&[]);
    assert!(again.ran().is_empty());
    assert_eq!(again.stages("stage_cached"), ALL);
}

#[test]
fn a_late_change_reruns_only_what_is_below_it() {
    let place = Place::new();
    place.run(&[]);
    place.change("models: [loud]", "models: [loud], ending: '?'");
    assert_eq!(place.run(&[]).ran(), ["shouts", "tally"]);
}

#[test]
fn what_comes_out_the_same_stops_the_change() {
    let place = Place::new();
    place.run(&[]);
    place.write("words.txt", "  one\ntwo  \n");
    let again = place.run(&[]);
    assert_eq!(again.ran(), ["words"]);
    assert!(again.lines().iter().any(|event| event["unchanged"] == true), "{}", again.out);
}

#[test]
fn what_means_the_same_is_a_hit() {
    let place = Place::new();
    place.run(&[]);
    let same = [
        ("models: [loud]", "models: [loud], ending: '!'"),
        ("with: { path: words.txt }", "with: { blank: true, path: ./words.txt }"),
        ("{ uses: count, in: { lines: shouts } }", "\n    in:\n      lines: shouts.lines\n    uses: count"),
        ("tally:", "# counted\n  total:"),
        ("name: words\n", "name: other\n"),
    ];
    for (from, to) in same {
        place.change(from, to);
        assert!(place.run(&[]).ran().is_empty(), "{to}");
    }
}

#[test]
fn a_stage_may_change_its_place_in_the_file() {
    let place = Place::new();
    place.run(&[]);
    let (head, stages) = WORDS.split_once("stages:\n").unwrap();
    let turned: Vec<_> = stages.lines().rev().collect();
    place.write("words.yaml", &format!("{head}stages:\n{}\n", turned.join("\n")));
    assert!(place.run(&[]).ran().is_empty());
}

#[test]
fn a_change_taken_back_is_a_hit() {
    let place = Place::new();
    place.run(&[]);
    place.change("models: [loud]", "models: [free]");
    assert_eq!(place.run(&[]).ran(), ["shouts", "tally"]);
    place.write("words.yaml", WORDS);
    assert!(place.run(&[]).ran().is_empty());
}

#[test]
fn a_file_counts_by_what_is_in_it() {
    let place = Place::new();
    place.run(&[]);
    place.write("words.txt", "one\ntwo\n");
    assert!(place.run(&[]).ran().is_empty(), "written again, with the same words");
    std::fs::rename(place.path("words.txt"), place.path("other.txt")).unwrap();
    place.change("path: words.txt", "path: other.txt");
    assert!(place.run(&[]).ran().is_empty(), "under another name");
    place.write("other.txt", "one\nthree\n");
    assert_eq!(place.run(&[]).ran(), ALL);
}

#[test]
fn a_folder_counts_by_the_files_in_it() {
    let place = Place::new();
    let folder = place.path("model");
    std::fs::create_dir_all(folder.join("below")).unwrap();
    for (name, text) in [("config.json", "{}"), ("weights", "12345"), (".hidden", "x"), ("below/more", "x")] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    place.write("words.yaml", "version: 1\nname: words\nstages:\n  files: { uses: list, with: { folder: model } }\n");
    let rows = |expected: &[(&str, &str)]| {
        let expected: Vec<_> = expected.iter().map(|(name, size)| ((*name).to_owned(), (*size).to_owned())).collect();
        assert_eq!(place.rows("files").into_iter().collect::<Vec<_>>(), expected);
    };
    assert_eq!(place.run(&[]).ran(), ["files"]);
    rows(&[("config.json", "2 bytes"), ("weights", "5 bytes")]);
    std::fs::write(folder.join(".hidden"), "other").unwrap();
    std::fs::write(folder.join("below/more"), "other").unwrap();
    assert!(place.run(&[]).ran().is_empty());
    std::fs::write(folder.join("weights"), "54321").unwrap();
    assert_eq!(place.run(&[]).ran(), ["files"], "a file was edited");
    std::fs::rename(folder.join("weights"), folder.join("weights.bin")).unwrap();
    assert_eq!(place.run(&[]).ran(), ["files"], "a file was renamed");
    rows(&[("config.json", "2 bytes"), ("weights.bin", "5 bytes")]);
    let told = |with: &str| {
        place.write("words.yaml", &format!("version: 1\nstages:\n  files: {{ uses: list, with: {{ folder: {with} }} }}\n"));
        place.call(&["check", "words.yaml"]).with(2).err
    };
    assert!(told("nowhere").contains("there is no folder `nowhere`"));
    assert!(told("words.txt").contains("`words.txt` is a file, not a folder"));
    std::fs::create_dir(place.path("empty")).unwrap();
    assert!(told("empty").contains("there is no file in the folder `empty`"));
}

#[test]
fn two_manifests_share_results() {
    let place = Place::new();
    place.run(&[]);
    place.write("other.yaml", &WORDS.replace("name: words\n", "").replace("shouts", "cries"));
    assert!(place.call(&["run", "other.yaml", "--format", "json"]).with(0).ran().is_empty());
}

#[test]
fn a_run_for_some_stages_leaves_the_others() {
    let place = Place::new();
    assert_eq!(place.run(&["shouts"]).ran(), ["shouts", "words"]);
    assert_eq!(place.run(&[]).ran(), ["tally"]);
}

#[test]
fn force_runs_one_stage_and_from_all_below_it_with_known_replies() {
    let place = Place::new();
    place.run(&[]);
    place.calls();
    assert_eq!(place.run(&["--force", "shouts"]).ran(), ["shouts"]);
    assert_eq!(place.run(&["--from", "shouts"]).ran(), ["shouts", "tally"]);
    assert!(place.calls().is_empty());
    assert_eq!(place.run(&["--rebuy", "shouts"]).ran(), ["shouts"]);
    assert_eq!(place.calls(), ["loud one", "loud two"]);
}

#[test]
fn a_frozen_run_runs_nothing() {
    let place = Place::new();
    let refused = place.call(&["run", "words.yaml", "--frozen"]).with(3);
    assert!(refused.err.contains("never run") && refused.err.contains("--frozen"), "{}", refused.err);
    assert!(!place.path("runs").exists());
    place.run(&[]);
    assert_eq!(place.run(&["--frozen"]).stages("stage_cached"), ALL);
}

#[test]
fn a_value_from_the_command_line_counts_for_once() {
    let place = Place::new();
    place.run(&[]);
    assert_eq!(place.run(&["--set", "stages.shouts.with.ending=."]).ran(), ["shouts", "tally"]);
    assert!(place.run(&[]).ran().is_empty());
}

#[test]
fn a_cache_that_is_off_neither_gives_nor_takes() {
    let place = Place::new();
    assert_eq!(place.run(&["--cache-mode", "off"]).ran(), ALL);
    assert_eq!(place.run(&["--cache-mode", "off"]).ran(), ALL);
    assert_eq!(place.run(&[]).ran(), ALL);
    assert_eq!(place.run(&["--cache-mode", "write"]).ran(), ALL);
    place.change("models: [loud]", "models: [loud], ending: '?'");
    assert_eq!(place.run(&["--cache-mode", "read"]).ran(), ["shouts", "tally"]);
    assert_eq!(place.run(&[]).ran(), ["shouts", "tally"]);
}
