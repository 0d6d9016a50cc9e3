//! The shipped manifests, with sizes that a test can wait for.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
};

use serde_json::{Value, json};

use crate::place::Place;

fn ran(events: &BTreeMap<String, String>) -> Vec<&str> {
    events.iter().filter(|(_, kind)| *kind == "stage_finished").map(|(stage, _)| stage.as_str()).collect()
}

fn manifest(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../pipelines").join(name).to_str().unwrap().to_owned()
}

/// Small sizes, so that training takes seconds.
const SMALL: [&str; 8] = [
    "--set",
    "stages.questions.with.count=300",
    "--set",
    "stages.sft.with.new={ architecture: llama, hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1 }",
    "--set",
    "stages.sft.with.epochs=1",
    "--set",
    "stages.sft.with.batch_size=32",
];

#[test]
fn the_quickstart_runs_once_and_one_word_reruns_what_it_affects() {
    let place = Place::new();
    let quickstart = manifest("quickstart.yaml");
    let run = [&["run", quickstart.as_str()], SMALL.as_slice()].concat();
    assert_eq!(ran(&place.events(&run)).len(), 9);
    assert_eq!(ran(&place.events(&run)), [""; 0]);
    let plan = [&["plan", quickstart.as_str(), "--exit-code"], SMALL.as_slice()].concat();
    assert_eq!(place.call(&plan).status.code(), Some(0));
    let other = [run.as_slice(), &["--set", "stages.dpo.with.beta=0.2"]].concat();
    assert_eq!(ran(&place.events(&other)), ["dpo", "evaluation"]);
    let frozen = [run.as_slice(), &["--set", "stages.dpo.with.beta=0.3", "--frozen"]].concat();
    assert_eq!(place.call(&frozen).status.code(), Some(3));

    let show = |artifact: &'static str| [&[quickstart.as_str(), artifact], SMALL.as_slice()].concat();
    let labels = place.rows(&show("labels"));
    let cells: std::collections::BTreeSet<_> = labels.iter().map(|label| label["cell"].as_str().unwrap().to_owned()).collect();
    assert_eq!(cells.len(), 9, "{cells:?}");
    let metrics: Value = serde_json::from_str(&place.good(&[&["show"], show("evaluation.metrics").as_slice()].concat())).unwrap();
    for name in ["policy_accuracy", "accuracy", "cost", "cost_share", "apgr", "confusion", "outcomes"] {
        assert!(!metrics[name].is_null(), "{name}");
    }
    for name in ["medium", "large", "random_mix", "oracle", "duplicates", "word_count", "ngrams", "neighbours"] {
        assert!(metrics["baselines"][name]["accuracy"].is_number(), "{name}");
    }
    // What `route` and `serve` need is in one folder: the trained files, and how they are used.
    place.good(&[&["export"], &show("evaluation.router")[..2], &["router"], SMALL.as_slice()].concat());
    let router: Value = serde_json::from_slice(&std::fs::read(place.path("router/router.json")).unwrap()).unwrap();
    assert_eq!(router["roles"]["large"], json!({ "provider": "calculator", "model": "scientific" }));
    assert_eq!(router["policies"][1]["model"], "large");
    assert_eq!(router["prices"]["calculator/pocket"]["input"], 1.0);
    assert_eq!(router["operating_point"]["policy_accuracy"], metrics["policy_accuracy"]);
    assert!(place.path("router/model.safetensors").is_file());
    let listing = place.good(&[&["show"], show("dpo.checkpoint").as_slice()].concat());
    for name in ["config.json", "model.safetensors", "router.json", "tokenizer.json"] {
        assert!(listing.contains(name), "{listing}");
    }
}

#[test]
fn two_trainings_give_equal_bytes_however_busy_the_machine_is() {
    let export = || {
        let place = Place::new();
        let quickstart = manifest("quickstart.yaml");
        place.good(&[&["run", quickstart.as_str()], SMALL.as_slice()].concat());
        let checkpoint = place.path("router");
        place
            .good(&[&["export", quickstart.as_str(), "dpo.checkpoint", checkpoint.to_str().unwrap()], SMALL.as_slice()].concat());
        ["model.safetensors", "tokenizer.json"].map(|name| std::fs::read(checkpoint.join(name)).unwrap())
    };
    let alone = export();
    let ended = AtomicBool::new(false);
    let busy = std::thread::scope(|scope| {
        for _ in 0..2 * std::thread::available_parallelism().unwrap().get() {
            scope.spawn(|| {
                // Ends by itself too, so that a failure is told.
                let started = std::time::Instant::now();
                while !ended.load(Ordering::Relaxed) && started.elapsed() < std::time::Duration::from_mins(1) {
                    std::hint::spin_loop();
                }
            });
        }
        let busy = export();
        ended.store(true, Ordering::Relaxed);
        busy
    });
    assert!(alone == busy);
}

#[test]
fn a_router_is_shown_routes_that_it_has_never_seen() {
    let place = Place::new();
    let unseen = manifest("unseen-routes.yaml");
    let small: Vec<_> = SMALL.iter().map(|set| set.replace("stages.sft.", "stages.plain-sft.")).collect();
    let small: Vec<_> = small.iter().map(String::as_str).collect();
    let call = |words: &[&'static str]| [&words[..1], &[unseen.as_str()], &words[1..], small.as_slice()].concat();
    place.good(&call(&["run", "plain-known", "plain-unseen"]));
    let rows = |artifact: &'static str, sets: &[&'static str]| place.rows(&[&call(&["", artifact])[1..], sets].concat());
    let known = rows("plain-known.predictions", &[]);
    let shown = rows("plain-unseen.predictions", &[]);
    assert!(known.len() == shown.len() && known.len() > 30);
    let choices = ["Ambiguous_Query", "Complex_Query", "Poetry_Query", "Standard_Query"];
    for (known, shown) in known.iter().zip(&shown) {
        let scores = shown["scores"].as_object().unwrap();
        assert_eq!(scores.keys().collect::<Vec<_>>(), choices);
        assert!((scores.values().map(|score| score.as_f64().unwrap()).sum::<f64>() - 1.0).abs() < 1e-6);
        assert!(known["scores"].as_object().unwrap().len() == 3 && known["usage"] != shown["usage"], "other words are read");
    }
    // The routes as they were trained are no others.
    let same = "stages.plain-unseen.with.routes=[\
        { name: Standard_Query, policy: Standard_Query, description: the pocket calculator gets it right },\
        { name: Complex_Query, policy: Complex_Query, description: only the scientific calculator gets it right },\
        { name: Ambiguous_Query, policy: Ambiguous_Query, description: neither gets it right }]";
    place.good(&[call(&["run", "plain-unseen"]).as_slice(), &["--set", same]].concat());
    assert_eq!(rows("plain-unseen.predictions", &["--set", same]), known);
    let other = same.replace("neither gets it right", "nobody gets it right");
    let output = place.call(&[call(&["run", "plain-unseen"]).as_slice(), &["--set", &other]].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("the description of `Ambiguous_Query` does not have the word `neither`"), "{said}");

    for (routes, said) in [
        ("[{ name: A, policy: Standard, description: x }]", "there is no policy `Standard`"),
        ("[{ name: A, policy: Standard_Query, description: x }]", "no route represents `Complex_Query`"),
        ("[{ name: A, description: x }]", "`A` represents a policy, or has a model of its own"),
        ("[{ name: A, model: m, description: x }, { name: A, model: m, description: x }]", "there are two routes `A`"),
        ("[{ name: Complex_Query, model: m, description: x }]", "`Complex_Query` is a policy"),
    ] {
        let set = format!("stages.plain-unseen.with.routes={routes}");
        let output = place.call(&[call(&["plan"]).as_slice(), &["--set", &set]].concat());
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && text.contains(said), "{text}");
    }
}

/// Recorded answers that fill all nine cells, ten times over.
fn recordings(folder: &Path) -> PathBuf {
    let grades = ["correct", "incorrect", "idk"];
    let lines = (0..90).map(|index| {
        let answer = |grade: &str| json!({ "text": null, "verdict": grade, "est_in": 10, "est_out": 20 });
        let answers = json!({ "small": answer(grades[index % 3]), "big": answer(grades[index / 3 % 3]) });
        json!({ "id": format!("q{index}"), "question": format!("Who did thing number {index}?"), "gold": ["somebody"], "answers": answers })
            .to_string()
    });
    let path = folder.join("answers.jsonl");
    std::fs::write(&path, lines.collect::<Vec<_>>().join("\n")).unwrap();
    path
}

#[test]
fn recorded_answers_are_labelled_by_their_verdicts() {
    let place = Place::new();
    recordings(place.folder.path());
    let recorded = manifest("recorded.yaml");
    // A path given by `--set` is relative to the current folder.
    let sets =
        ["--set", "params.answers=answers.jsonl", "--set", "params.medium=replay/small", "--set", "params.large=replay/big"];
    place.good(&[&["run", recorded.as_str(), "labels"], sets.as_slice()].concat());
    let labels = place.rows(&[&[recorded.as_str(), "labels"], sets.as_slice()].concat());
    let mut policies = BTreeMap::new();
    for label in &labels {
        *policies.entry(label["policy"].as_str().unwrap().to_owned()).or_insert(0) += 1;
    }
    let expected = [("Ambiguous_Query", 30), ("Complex_Query", 30), ("Standard_Query", 30)];
    assert_eq!(policies, expected.map(|(name, count)| (name.to_owned(), count)).into());
    let complex = place.rows(&[&[recorded.as_str(), "labels", "--where", "cell=incorrect/idk"], sets.as_slice()].concat());
    assert!(complex.len() == 10 && complex.iter().all(|label| label["policy"] == "Complex_Query"));
}

#[test]
fn a_malformed_row_is_named_by_file_line_and_column() {
    let place = Place::new();
    let path = recordings(place.folder.path());
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str("\n{\"id\": \"x\", \"question\": oops}\n");
    std::fs::write(&path, text).unwrap();
    let sets =
        ["--set", "params.answers=answers.jsonl", "--set", "params.medium=replay/small", "--set", "params.large=replay/big"];
    let output = place.call(&[&["run", manifest("recorded.yaml").as_str()], sets.as_slice()].concat());
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("`answers.jsonl`, line 91, column 25"), "{told}");
}

#[test]
fn a_command_sees_what_it_declares_and_nothing_else() {
    let place = Place::new();
    std::fs::write(place.path("raw.txt"), "b\na\n").unwrap();
    let text = "version: 1\nstages:\n  clean:\n    uses: command\n    in: { raw: ./raw.txt }\n    with:\n      \
                run: sort \"$raw\" > \"$sorted\"; echo \"${HIDDEN:-unseen} $SEEN\" >> \"$sorted\"\n      \
                out: { sorted: sorted.txt }\n      env: [SEEN]\n";
    std::fs::write(place.path("command.yaml"), text).unwrap();
    let run = |seen: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fingerpost"));
        command.args(["run", "command.yaml", "--quiet"]).env("SEEN", seen).env("HIDDEN", "x").current_dir(place.folder.path());
        assert!(command.status().unwrap().success());
        let mut command = Command::new(env!("CARGO_BIN_EXE_fingerpost"));
        command.args(["show", "command.yaml", "clean"]).env("SEEN", seen).current_dir(place.folder.path());
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert_eq!(run("one"), "a\nb\nunseen one\n");
    assert_eq!(run("two"), "a\nb\nunseen two\n");
}

#[test]
fn init_writes_a_manifest_that_is_right() {
    let place = Place::new();
    for template in ["quickstart", "recorded"] {
        place.good(&["init", template, "--template", template]);
    }
    assert!(place.path("quickstart/prices.yaml").is_file());
    place.good(&["check", "quickstart/quickstart.yaml"]);
    let text = std::fs::read_to_string(place.path("quickstart/quickstart.yaml")).unwrap();
    assert!(text.starts_with("# yaml-language-server: $schema=./fingerpost.schema.json\n"), "{text}");
    assert!(place.path("quickstart/fingerpost.schema.json").is_file());
    place.good(&["init", "unseen", "--template", "unseen-routes"]);
    place.good(&["check", "unseen/unseen-routes.yaml"]);
    // What is not there yet is named.
    let mut init = place.command(&["init", "simpleqa", "--template", "simpleqa"]);
    let said = String::from_utf8(init.env_remove("GEMINI_API_KEY").output().unwrap().stdout).unwrap();
    for need in ["there is no file `simple_qa_test_set.csv`", "`gemma-2b`", "the environment variable `GEMINI_API_KEY`"] {
        assert!(said.contains(need), "{need}: {said}");
    }
    let again = place.call(&["init", "quickstart"]);
    assert_eq!(again.status.code(), Some(2), "{}", String::from_utf8_lossy(&again.stderr));
}
