//! What goes from the cache and why the rest stays, trees that lead out of a folder, and replies that are shared.

use std::time::Duration;

use ::cache::{Cache, Digest, Mode};
use serde_json::{Value, json};

use crate::place::{Place, WORDS, ended};

/// The cache of a place.
pub(crate) const FOLDER: &str = ".fingerpost/cache";

fn collect(place: &Place, words: &[&str]) -> String {
    place.call(&[&["cache", "collect"], words].concat()).with(0).out
}

#[test]
fn collecting_says_what_goes_and_why_the_rest_stays() {
    let place = Place::new();
    assert_eq!(collect(&place, &[]), "nothing to remove\n");
    place.run(&[]);
    let kept = collect(&place, &["--yes"]);
    assert!(kept.starts_with("nothing to remove\n"), "{kept}");
    assert!(kept.contains("no result is older than 30 days: 3 results, the oldest used less than an hour ago"), "{kept}");
    assert!(kept.contains("2 replies kept: `--replies` removes those older than 30 days too"), "{kept}");
    let would = collect(&place, &["--days", "0"]);
    assert!(would.starts_with("would remove 3 results (0.0 MiB); `--yes` removes them\n"), "{would}");
    assert!(would.contains("blobs younger than an hour or in use are kept: 4 blobs that no result needs"), "{would}");
    assert!(place.run(&[]).ran().is_empty());
    let gone = collect(&place, &["--days", "0", "--yes"]);
    assert!(gone.starts_with("removed 3 results (0.0 MiB)\n"), "{gone}");
    place.calls();
    assert_eq!(place.run(&[]).ran(), ["shouts", "tally", "words"]);
    assert!(place.calls().is_empty(), "replies outlive results");
    let gone = collect(&place, &["--days", "0", "--yes", "--replies", "--format", "json"]);
    let gone: Value = serde_json::from_str(&gone).unwrap();
    assert_eq!((&gone["replies"], &gone["left"]["replies"]), (&json!(2), &json!(0)));
}

#[test]
fn collecting_removes_what_was_set_aside_as_damaged() {
    let place = Place::new();
    place.run(&[]);
    place.write(&format!("{FOLDER}/damaged/blob"), "garbage");
    assert!(place.call(&["cache"]).with(0).out.contains("1 damaged file set aside"));
    assert!(collect(&place, &[]).starts_with("would remove 1 damaged file (0.0 MiB)"));
    assert!(collect(&place, &["--yes"]).starts_with("removed 1 damaged file (0.0 MiB)\n"));
    assert!(collect(&place, &["--yes"]).starts_with("nothing to remove\n"));
}

#[test]
fn what_a_run_uses_is_not_collected_while_it_runs() {
    let place = Place::new();
    let slow = "  slow: { uses: wait, in: { lines: words }, with: { milliseconds: 4000 } }\n";
    place.write("words.yaml", &format!("{WORDS}{slow}  late: {{ uses: join, in: {{ left: shouts, right: slow }} }}\n"));
    place.run(&["tally"]);
    let run = place.command(&["run", "words.yaml", "--budget", "10", "--format", "json"], 0).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    let kept = collect(&place, &["--days", "0", "--yes", "--replies"]);
    assert!(kept.starts_with("nothing to remove\n"), "{kept}");
    assert!(kept.contains("another process uses the cache") && kept.contains("2 replies kept"), "{kept}");
    let run = ended(run).with(0);
    assert_eq!(
        (run.ran(), run.stages("stage_cached")),
        (vec!["late".into(), "slow".into()], vec!["shouts".into(), "tally".into(), "words".into()])
    );
    assert!(place.run(&[]).ran().is_empty());
}

/// Records a tree with a file of this name as the result of the stage `kept`.
fn record_tree(place: &Place, name: &str) {
    let cache = Cache::open(&place.path(FOLDER), Mode::ReadWrite).unwrap();
    let key = cache.last("words", "kept").unwrap().unwrap();
    let (preimage, mut result) = (cache.preimage(&key).unwrap().unwrap(), cache.result(&key).unwrap().unwrap());
    let digest = cache.put(b"out of its folder").unwrap();
    let tree = json!({ "files": { name: { "bytes": 17, "digest": digest } } });
    let output = result.outputs.get_mut("checkpoint").unwrap();
    output.digest = cache.put(tree.to_string().as_bytes()).unwrap();
    cache.record(&preimage, &result, "words", "kept").unwrap();
}

#[test]
fn a_tree_that_leads_out_of_its_folder_is_refused() {
    let place = Place::new();
    let stages = "  kept: { uses: folder, in: { lines: words } }\n  files: { uses: unpack, in: { checkpoint: kept } }\n";
    place.write("words.yaml", &format!("{WORDS}{stages}"));
    place.run(&["files"]);
    assert_eq!(place.rows("files")["2"], "two");
    let absolute = place.path("absolute");
    for name in ["../x", absolute.to_str().unwrap(), "a//b"] {
        record_tree(&place, name);
        let refused = |words: &[&str]| {
            let refused = place.call(words).with(4);
            assert!(refused.err.contains(&format!("a file `{name}`")), "{}", refused.err);
            assert!(refused.err.contains("outside its folder") && refused.err.contains("--force"), "{}", refused.err);
        };
        refused(&["show", "words.yaml", "kept"]);
        refused(&["export", "words.yaml", "kept", "out"]);
        refused(&["export", "words.yaml", "kept.checkpoint", "out"]);
        refused(&["run", "words.yaml", "files", "--force", "files", "--budget", "10"]);
        assert!(!absolute.exists() && !place.path("x").exists() && !place.path("out").exists(), "{name}");
        // Looking after the cache goes on, and the stage can be run again.
        place.call(&["cache", "verify"]).with(0);
        collect(&place, &["--days", "1", "--yes"]);
        place.run(&["kept", "--force", "kept"]);
        assert_eq!(place.call(&["show", "words.yaml", "kept"]).with(0).out.lines().count(), 2);
    }
}

#[test]
fn the_listing_of_a_folder_has_one_form() {
    let place = Place::new();
    let stages = "  kept: { uses: folder, in: { lines: words } }\n";
    place.write("words.yaml", &format!("{WORDS}{stages}"));
    place.run(&["kept"]);
    let cache = Cache::open(&place.path(FOLDER), Mode::ReadWrite).unwrap();
    let key = cache.last("words", "kept").unwrap().unwrap();
    let digest = cache.result(&key).unwrap().unwrap().outputs["checkpoint"].digest;
    let file = |text: &str| format!("{{\"bytes\":{},\"digest\":\"{}\"}}", text.len(), Digest::of(text.as_bytes()));
    let listing = format!("{{\"files\":{{\"1\":{},\"2\":{}}}}}", file("one"), file("two"));
    assert_eq!(String::from_utf8(cache.read(&digest).unwrap()).unwrap(), listing, "keys of all that takes a folder would change");
}

#[test]
fn replies_are_exported_and_imported() {
    let (from, to) = (Place::new(), Place::new());
    from.run(&[]);
    let file = to.path("replies.jsonl");
    let exported = from.call(&["cache", "export", file.to_str().unwrap()]).with(0).out;
    assert_eq!(exported, format!("exported 2 replies to `{}`\n", file.display()));
    let import = || to.call(&["cache", "import", "replies.jsonl"]).with(0).out;
    assert_eq!(import(), "imported 2 replies, 0 already present\n");
    assert_eq!(import(), "imported 0 replies, 2 already present\n");
    to.run(&[]);
    assert!(to.calls().is_empty());
}

#[test]
fn every_command_of_the_cache_has_an_example() {
    let place = Place::new();
    for command in ["stats", "verify", "export", "import", "collect"] {
        let help = place.call(&["cache", command, "--help"]).with(0).out;
        assert!(help.contains(&format!("Examples:\n  fingerpost cache {command}")), "{help}");
    }
}
