//! What each command prints, and the codes it ends with.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use serde_json::{Value, json};

use crate::place::{Place, WORDS, ended};

fn document(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn init_writes_a_manifest_that_runs() {
    let place = Place::new();
    let told = place.call(&["init", "new"]).with(0);
    assert!(told.out.contains("new/words.yaml"), "{}", told.out);
    assert!(place.path("new/fingerpost.schema.json").is_file() && place.path("new/.gitignore").is_file());
    place.call(&["run", "new/words.yaml"]).with(0);
    assert!(place.call(&["init", "new"]).with(2).err.contains("already exists"));
    assert!(place.call(&["init", "newer", "--template", "none"]).with(2).err.contains("the templates are words"));
    assert!(!place.path("newer").exists());
}

#[test]
fn check_says_whether_the_manifest_is_right() {
    let place = Place::new();
    place.call(&["check", "words.yaml"]).with(0);
    place.write("words.yaml", &WORDS.replace("lines: words", "lines: word"));
    let refused = place.call(&["check", "words.yaml", "--format", "json"]).with(2);
    let mistake = &document(&refused.out)["mistakes"][0];
    assert_eq!((&mistake["labels"][0]["line"], &mistake["labels"][0]["column"]), (&json!(5), &json!(39)));
    assert!(place.call(&["check", "none.yaml"]).with(2).err.contains("none.yaml"));
    assert!(!place.path(".fingerpost").exists(), "checking keeps nothing");
}

#[test]
fn plan_tells_what_would_run_and_runs_nothing() {
    let place = Place::new();
    let plan = |words: &[&str]| place.call(&[&["plan", "words.yaml"], words].concat());
    assert!(plan(&[]).with(0).out.contains("0 cached, 1 to run, 2 decided later"));
    plan(&["--exit-code"]).with(3);
    assert!(place.calls().is_empty() && !place.path("runs").exists());
    place.run(&[]);
    assert!(plan(&["--exit-code"]).with(0).out.contains("3 cached, 0 to run"));
    place.change("models: [loud]", "models: [loud], ending: '?'");
    assert!(plan(&[]).out.contains("with.ending: was !, now ?"));
    let told = document(&plan(&["--format", "json"]).with(0).out);
    assert_eq!(told["fresh"], false);
    let decisions: Vec<_> = told["stages"].as_array().unwrap().iter().map(|stage| stage["decision"].clone()).collect();
    assert_eq!(decisions, ["hit", "run", "later"]);
    assert!(plan(&["word"]).with(2).err.contains("did you mean `words`"));
}

#[test]
fn why_names_what_changed() {
    let place = Place::new();
    let why = |stage: &str| place.call(&["why", "words.yaml", stage]).with(0).out;
    assert!(why("words").contains("never run"));
    place.run(&[]);
    assert!(why("tally").contains("does not run"));
    place.write("words.txt", "three\n");
    assert!(why("words").contains("with.path"), "{}", why("words"));
    assert!(why("tally").contains("whether tally runs depends on shouts"), "{}", why("tally"));
    place.run(&["words"]);
    let told = why("shouts");
    assert!(told.contains("in.lines: words changed"), "{told}");
    // The only manifest of the folder need not be named.
    assert_eq!(place.call(&["why", "shouts"]).with(0).out, told);
    place.write("other.yaml", "version: 1\nstages: {}\n");
    let said = place.call(&["why", "shouts"]).with(2).err;
    assert!(said.contains("this folder has several manifests: other.yaml, words.yaml"), "{said}");
}

#[test]
fn show_prints_rows_metrics_and_listings() {
    let place = Place::new();
    place.write(
        "words.yaml",
        &format!(
            "{WORDS}  kept: {{ uses: folder, in: {{ lines: words }} }}\n  parts: {{ uses: halves, in: {{ lines: words }} }}\n"
        ),
    );
    let show = |words: &[&str]| place.call(&[&["show", "words.yaml"], words].concat());
    assert!(show(&["words"]).with(3).err.contains("run it: `fingerpost run words.yaml words`"));
    place.run(&[]);
    assert_eq!(show(&["words"]).with(0).out, "{\"id\":\"1\",\"text\":\"one\"}\n{\"id\":\"2\",\"text\":\"two\"}\n");
    assert_eq!(document(&show(&["tally"]).with(0).out), json!({ "lines": 2, "letters": 8 }));
    let listing = show(&["kept"]).with(0).out;
    assert_eq!(listing.lines().map(|line| line.split_whitespace().last().unwrap()).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(document(&show(&["kept", "--format", "json"]).with(0).out)["files"]["1"]["bytes"], 3);
    assert!(show(&["parts"]).with(2).err.contains("parts.first"));
    assert_eq!(show(&["parts.second"]).with(0).lines()[0]["text"], "two");
    assert!(show(&["parts.third"]).with(2).err.contains("parts.second"));
}

#[test]
fn show_picks_rows() {
    let place = Place::new();
    place.write("words.txt", "one\ntwo\nthree\nfour\nfive\n");
    place.run(&["words"]);
    let texts = |words: &[&str]| -> Vec<String> {
        let shown = place.call(&[&["show", "words.yaml", "words"], words].concat()).with(0);
        shown.lines().iter().map(|row| row["text"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(texts(&["--limit", "2"]), ["one", "two"]);
    assert_eq!(texts(&["--id", "3"]), ["three"]);
    assert_eq!(texts(&["--where", "text=two"]), ["two"]);
    assert_eq!(texts(&["--where", "text!=two", "--limit", "2"]), ["one", "three"]);
    assert_eq!(texts(&["--where", "text~o", "--where", "id!=1"]), ["two", "four"]);
    assert_eq!(texts(&["--where", "none=x"]), Vec::<String>::new());
    let sample = texts(&["--sample", "3"]);
    assert_eq!((sample.len(), texts(&["--sample", "3"])), (3, sample));
    assert!(place.call(&["show", "words.yaml", "words", "--where", "text"]).with(2).err.contains("FIELD=VALUE"));
}

#[test]
fn export_writes_what_show_prints() {
    let place = Place::new();
    place.write("words.yaml", &format!("{WORDS}  kept: {{ uses: folder, in: {{ lines: words }} }}\n"));
    place.call(&["export", "words.yaml", "words", "out"]).with(3);
    assert!(!place.path("out").exists());
    place.run(&[]);
    place.call(&["export", "words.yaml", "words.lines", "rows.jsonl"]).with(0);
    let rows = std::fs::read_to_string(place.path("rows.jsonl")).unwrap();
    assert_eq!(rows, place.call(&["show", "words.yaml", "words"]).out);
    place.call(&["export", "words.yaml", "words", "out"]).with(0);
    assert_eq!(std::fs::read_to_string(place.path("out/lines.jsonl")).unwrap(), rows);
    place.call(&["export", "words.yaml", "kept.checkpoint", "folder"]).with(0);
    assert_eq!(std::fs::read_to_string(place.path("folder/2")).unwrap(), "two");
}

#[test]
fn kinds_and_schemas_are_listed() {
    let place = Place::new();
    let kinds = place.call(&["kinds"]).with(0).out;
    assert!(kinds.contains("shout") && kinds.contains("lines as models shout them"), "{kinds}");
    let one = place.call(&["kinds", "shout"]).with(0).out;
    assert!(one.contains("ending") && one.contains("Inputs:\n  lines: dataset<line>"), "{one}");
    let schema = document(&place.call(&["schema"]).with(0).out);
    assert!(schema["properties"]["stages"].is_object(), "{schema:#}");
    let row = document(&place.call(&["schema", "line"]).with(0).out);
    assert!(row["properties"]["text"].is_object(), "{row:#}");
    assert!(place.call(&["schema", "lin"]).with(2).err.contains("line"));
}

#[test]
fn the_cache_is_counted() {
    let place = Place::new();
    place.run(&[]);
    let stats = document(&place.call(&["cache", "stats", "--format", "json"]).with(0).out);
    assert_eq!((&stats["results"], &stats["replies"]), (&json!(3), &json!(2)));
}

#[test]
fn a_run_leaves_its_record() {
    let place = Place::new();
    let told = place.run(&[]);
    let events = told.lines();
    let kinds: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&"run_started"), Some(&"run_finished")));
    let folder = place.path("runs").join(events[0]["run"].as_str().unwrap());
    assert_eq!(std::fs::read_to_string(folder.join("manifest.yaml")).unwrap(), WORDS);
    let kept = std::fs::read_to_string(folder.join("events.jsonl")).unwrap();
    let kept: Vec<Value> = kept.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let finished = |events: &[Value]| events.iter().filter(|event| event["event"] == "stage_finished").count();
    assert_eq!(finished(&kept), finished(&events));
}

#[test]
fn quiet_says_nothing_and_failures_all_the_same() {
    let place = Place::new();
    let quiet = place.call(&["run", "words.yaml", "--budget", "1", "--quiet"]).with(0);
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));
    place.write("words.txt", "rude\n");
    assert!(place.call(&["run", "words.yaml", "--budget", "1", "--quiet"]).with(1).err.contains("no model shouts that"));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let place = Place::new();
    place.write_words(50_000);
    place.run(&["words"]);
    let mut child = place.command(&["show", "words.yaml", "words"], 0).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let ended = ended(child).with(0);
    assert_eq!((first.as_str(), ended.err.as_str()), ("{\"id\":\"1\",\"text\":\"word 0\"}\n", ""));
}

#[test]
fn the_help_of_every_command_has_an_example_and_says_where_to_read_on() {
    let place = Place::new();
    let help = place.call(&["--help"]).with(0).out;
    let listed = help.split("Commands:\n").nth(1).unwrap().lines().take_while(|line| !line.is_empty());
    let commands: Vec<_> = listed.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect();
    assert!(commands.len() >= 12, "{commands:?}");
    for command in commands {
        let help = place.call(&[command, "--help"]).with(0).out;
        let examples = help.split("Examples:\n").nth(1).unwrap_or_else(|| panic!("{command}: {help}"));
        assert!(examples.contains(&format!("  fingerpost {command}")), "{help}");
        assert!(examples.trim_end().lines().last().unwrap().starts_with("`fingerpost "), "{help}");
    }
}

#[test]
fn words_that_are_no_command_are_told_with_help() {
    let place = Place::new();
    assert!(place.call(&["rum"]).with(2).err.contains("run"));
    assert!(place.call(&["run"]).with(2).err.contains("MANIFEST"));
    assert!(place.call(&["--help"]).with(0).out.contains("Exit codes"));
    place.call(&["--version"]).with(0);
}

#[test]
fn a_command_that_a_package_brings_is_called_and_told_as_the_others() {
    let place = Place::new();
    assert_eq!(place.call(&["spell", "ab"]).with(0).out, "a\nb\n");
    let refused = place.call(&["spell", ""]).with(2);
    assert!(refused.err.contains("`WORD` is empty") && refused.err.contains("help: give one letter"), "{}", refused.err);
    assert!(place.call(&["spell", "supercalifragilisticexpialidocious"]).with(1).err.contains("out of breath"));
    assert!(place.call(&["spell"]).with(2).err.contains("WORD"));
    assert!(place.call(&["spell", "--help"]).with(0).out.contains("Spell a word"));
    assert!(!place.call(&["--help"]).with(0).out.contains("spell"), "it is hidden");
}
