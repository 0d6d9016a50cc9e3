//! What a failing stage, a damaged cache and a bad folder lead to.

use std::path::{Path, PathBuf};

use crate::place::{Place, WORDS};

fn failing(how: &str) -> Place {
    let place = Place::new();
    let trouble = format!("  trouble: {{ uses: fail, in: {{ lines: words }}, with: {{ how: {how} }} }}\n");
    let below = "  below: { uses: count, in: { lines: trouble } }\n";
    place.write("words.yaml", &format!("{WORDS}{trouble}{below}"));
    place
}

#[test]
fn a_failure_skips_what_is_below_and_nothing_else() {
    let place = failing("stage");
    let failed = place.call(&["run", "words.yaml", "--budget", "1", "--format", "json"]).with(1);
    assert_eq!(failed.ran(), ["shouts", "tally", "words"]);
    assert_eq!(failed.stages("stage_failed"), ["trouble"]);
    assert_eq!(failed.stages("stage_skipped"), ["below"]);
    let told = place.call(&["run", "words.yaml"]).with(1);
    assert!(told.err.contains("these lines will not do") && told.err.contains("write other ones"), "{}", told.err);
    assert!(place.call(&["show", "words.yaml", "below"]).with(3).err.contains("fingerpost run words.yaml below"));
}

#[test]
fn the_exit_code_says_who_is_to_blame() {
    for (how, code, word) in [("stage", 1, "will not do"), ("environment", 4, "on fire"), ("panic", 70, "a line too many")] {
        let ended = failing(how).call(&["run", "words.yaml", "--budget", "1"]).with(code);
        assert!(ended.err.contains(word), "{}", ended.err);
    }
}

#[test]
fn every_blame_can_have_a_help() {
    for (how, code, help) in [("stage", 1, "write other ones"), ("environment", 4, "fetch a bucket")] {
        let ended = failing(how).call(&["run", "words.yaml", "--budget", "1"]).with(code);
        assert!(ended.err.contains(help), "{}", ended.err);
    }
}

#[test]
fn a_malformed_line_is_named_before_anything_is_spent() {
    let place = Place::new();
    place.write("words.txt", "one\nt\two\n");
    let failed = place.call(&["run", "words.yaml", "--budget", "1"]).with(1);
    assert!(failed.err.contains("words.txt, line 2: a tab"), "{}", failed.err);
    assert!(place.calls().is_empty());
}

#[test]
fn a_file_of_rows_is_checked_line_by_line() {
    let place = Place::new();
    let rows = "{\"id\":\"1\",\"text\":\"one\"}\n{\"id\":\"2\",\"txt\":\"two\"}\n";
    place.write("rows.jsonl", rows);
    place.change("in: { lines: words }", "in: { lines: ./rows.jsonl }");
    let refused = place.call(&["run", "words.yaml", "--budget", "1"]).with(2);
    assert!(refused.err.contains("line 2") && refused.err.contains("text"), "{}", refused.err);
    place.write("rows.jsonl", &rows.replace("txt", "text"));
    place.run(&[]);
    assert_eq!(place.calls(), ["loud one", "loud two"]);
}

fn blobs(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { blobs(&path) } else { vec![path] }).collect()
}

fn each_blob(place: &Place, change: impl Fn(&Path)) {
    let blobs = blobs(&place.path(".fingerpost/cache/blobs"));
    assert!(blobs.len() >= 3, "{blobs:?}");
    for blob in blobs {
        change(&blob);
    }
}

#[test]
fn a_damaged_blob_is_made_again_from_known_replies() {
    let damage = |blob: &Path| std::fs::write(blob, "garbage").unwrap();
    let deletion = |blob: &Path| std::fs::remove_file(blob).unwrap();
    for (damaged, change) in [(true, &damage as &dyn Fn(&Path)), (false, &deletion)] {
        let place = Place::new();
        place.run(&[]);
        place.calls();
        each_blob(&place, change);
        let again = place.run(&["--force", "tally"]);
        assert_eq!(again.ran(), ["shouts", "tally", "words"]);
        assert_eq!(again.out.contains("damaged in the cache"), damaged);
        assert_eq!(place.rows("shouts")["1/loud"], "ONE!");
        assert!(place.calls().is_empty());
        assert!(place.run(&[]).ran().is_empty());
    }
}

#[test]
fn verify_finds_damage_and_show_never_prints_it() {
    let place = Place::new();
    place.run(&[]);
    place.call(&["cache", "verify"]).with(0);
    each_blob(&place, |blob| std::fs::write(blob, "garbage").unwrap());
    let shown = place.call(&["show", "words.yaml", "shouts"]).with(4);
    assert!(shown.out.is_empty() && shown.err.contains("run"), "{shown:?}");
    assert!(place.call(&["cache", "verify"]).with(4).out.contains("damaged"));
    place.call(&["cache", "verify"]).with(0);
}

#[test]
fn a_cache_folder_that_cannot_be_made_is_the_environment() {
    let place = Place::new();
    place.write("taken", "a file");
    let failed = place.call(&["run", "words.yaml", "--cache", "taken/cache"]).with(4);
    assert!(failed.err.contains("taken/cache"), "{}", failed.err);
}
