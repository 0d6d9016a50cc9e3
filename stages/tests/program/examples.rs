//! Verdicts → labels → examples, with what a person can change on the way.

use std::{collections::BTreeMap, fs, process::Command};

use serde_json::{Value, json};

use crate::{
    place::Place,
    server::{Answer, Server},
};

pub(super) const POLICIES: [&str; 3] = ["Standard_Query", "Complex_Query", "Ambiguous_Query"];

fn lines(rows: impl IntoIterator<Item = Value>) -> String {
    rows.into_iter().flat_map(|row| [row.to_string(), "\n".to_owned()]).collect()
}

/// A place with a manifest of one stage, `made`, behind three policies.
pub(super) fn place(stage: &Value) -> Place {
    let place = Place::new();
    write_stage(&place, stage);
    place
}

pub(super) fn write_stage(place: &Place, stage: &Value) {
    let policy = |name: &str| {
        (
            name.to_owned(),
            json!({ "model": if name == "Complex_Query" { "large" } else { "medium" }, "description": format!("about {name}") }),
        )
    };
    let names = POLICIES.map(|name| {
        let (name, policy) = policy(name);
        format!("  {name}: {policy}\n")
    });
    let manifest = format!("version: 1\npolicies:\n{}stages:\n  made: {stage}\n", names.concat());
    fs::write(place.path("m.yaml"), manifest).unwrap();
}

pub(super) fn run(place: &Place, code: i32) -> String {
    let output = place.call(&["run", "m.yaml"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

fn verdict(id: &str, model: &str, verdict: &str) -> Value {
    json!({ "id": id, "model": model, "verdict": verdict, "reason": "", "split": "train" })
}

fn labels(place: &Place) -> BTreeMap<String, String> {
    let rows = place.rows(&["m.yaml", "made"]);
    rows.iter().map(|row| (row["id"].as_str().unwrap().to_owned(), row["cell"].as_str().unwrap().to_owned())).collect()
}

#[test]
fn a_person_has_the_last_word_on_verdicts() {
    let place =
        place(&json!({ "uses": "label", "in": { "verdicts": "./verdicts.jsonl" }, "with": { "overrides": "overrides.csv" } }));
    let rows = ["a", "b"].into_iter().flat_map(|id| [verdict(id, "medium", "incorrect"), verdict(id, "large", "correct")]);
    fs::write(place.path("verdicts.jsonl"), lines(rows)).unwrap();
    fs::write(place.path("overrides.csv"), "id,model,verdict,reason\na,medium,correct,it is right\nb,large,correct,\n").unwrap();
    let said = run(&place, 0);
    assert!(said.contains("2 overrides, of which 1 change a verdict"), "{said}");
    assert_eq!(
        labels(&place),
        [("a", "correct/correct"), ("b", "incorrect/correct")].map(|(id, cell)| (id.into(), cell.into())).into()
    );
    for (text, told) in [
        ("id,model,verdict\nc,medium,correct\n", "line 2: no question with the id `c` was judged"),
        (
            "id,model,verdict\na,medium,correct\na,other,idk\n",
            "line 3: no answer of `other` to `a` was judged; large, medium were",
        ),
        ("id,model,verdict\na,medium,right\n", "line 2"),
        ("id,model\na,medium\n", "line 2"),
    ] {
        fs::write(place.path("overrides.csv"), text).unwrap();
        let said = run(&place, 1);
        assert!(said.contains("`overrides.csv`") && said.contains(told), "{said}");
    }
}

#[test]
fn a_missing_verdict_counts_as_the_manifest_says() {
    let with =
        |missing: &str| json!({ "uses": "label", "in": { "verdicts": "./verdicts.jsonl" }, "with": { "missing": missing } });
    let place = place(&with("drop"));
    let rows = [verdict("a", "medium", "correct"), verdict("b", "medium", "correct"), verdict("b", "large", "idk")];
    fs::write(place.path("verdicts.jsonl"), lines(rows)).unwrap();
    for (missing, a, told) in [
        ("drop", None, "1 questions have no verdict on some model: they get no label"),
        ("idk", Some("correct/idk"), "it counts as idk"),
        ("incorrect", Some("correct/incorrect"), "it counts as incorrect"),
    ] {
        write_stage(&place, &with(missing));
        let said = run(&place, 0);
        assert!(said.contains(told), "{said}");
        assert_eq!(labels(&place).get("a").map(String::as_str), a);
        assert_eq!(labels(&place)["b"], "correct/idk");
    }
}

#[test]
fn an_answer_that_is_none_counts_as_the_manifest_says() {
    let judge = |missing: &Value| {
        json!({
            "uses": "judge", "in": { "questions": "./questions.jsonl", "answers": "./answers.jsonl" },
            "with": { "judge": "exact", "missing": missing },
        })
    };
    let place = place(&judge(&json!({})));
    let question = json!({ "id": "a", "question": "?", "gold": ["x"], "benchmark": "b", "split": "train" });
    fs::write(place.path("questions.jsonl"), lines([question])).unwrap();
    let answers = ["ok", "refused", "truncated", "blocked", "empty", "model_swapped"].map(|outcome| {
        json!({
            "id": "a", "model": outcome, "asked": "p/m", "text": "x", "outcome": outcome, "served": "m",
            "usage": { "input": 1, "output": 1, "thinking": 0, "cached": 0 },
        })
    });
    fs::write(place.path("answers.jsonl"), lines(answers)).unwrap();
    let verdicts = |missing: Value| -> Vec<String> {
        write_stage(&place, &judge(&missing));
        run(&place, 0);
        let rows = place.rows(&["m.yaml", "made"]);
        rows.iter().map(|row| format!("{} {}", row["model"].as_str().unwrap(), row["verdict"].as_str().unwrap())).collect()
    };
    assert_eq!(verdicts(json!({})), ["ok correct", "refused idk"]);
    assert_eq!(
        verdicts(json!({ "refused": "drop", "truncated": "incorrect", "empty": "idk" })),
        ["ok correct", "truncated incorrect", "empty idk"]
    );
}

/// Questions, labels and analyses for `prepare`: as many of each policy as `counts` says.
pub(super) fn prepared(place: &Place, counts: [usize; 3], reasoning: &str) {
    let (mut questions, mut labels, mut analyses) = (Vec::new(), Vec::new(), Vec::new());
    for (policy, count) in POLICIES.iter().zip(counts) {
        for number in 0..count {
            let id = format!("{policy}-{number}");
            questions.push(json!({ "id": id, "question": format!("What of {policy} {number}?").to_lowercase().replace('_', " "), "gold": ["forty-two"], "benchmark": "b", "split": "train" }));
            labels.push(json!({ "id": id, "verdicts": { "medium": "correct", "large": "correct" }, "cell": "correct/correct", "policy": policy, "split": "train" }));
            analyses.push(json!({ "id": id, "features": {}, "reasoning": reasoning }));
        }
    }
    for (name, rows) in [("questions", questions), ("labels", labels), ("analyses", analyses)] {
        fs::write(place.path(&format!("{name}.jsonl")), lines(rows)).unwrap();
    }
}

pub(super) fn prepare(with: &Value) -> Value {
    json!({
        "uses": "prepare", "with": with,
        "in": { "questions": "./questions.jsonl", "labels": "./labels.jsonl", "analyses": "./analyses.jsonl" },
    })
}

/// The policy that an example's last line names.
fn policy(turn: &Value) -> String {
    turn[0]["content"].as_str().unwrap().rsplit("Policy: ").next().unwrap().to_owned()
}

#[test]
fn classes_are_balanced_by_choice() {
    for (balance, expected) in [("none", [2, 6, 12]), ("oversample", [12, 12, 12]), ("undersample", [2, 2, 2])] {
        let place = place(&prepare(&json!({ "balance": balance, "direct": 0, "dpo": 1 })));
        prepared(&place, [2, 6, 12], "some steps");
        let said = run(&place, 0);
        assert!(said.contains(&format!("{} SFT and 20 DPO examples; prompts ", expected.iter().sum::<usize>())), "{said}");
        let mut counts = BTreeMap::new();
        for row in place.rows(&["m.yaml", "made.sft"]) {
            *counts.entry(policy(&row["completion"])).or_insert(0) += 1;
        }
        assert_eq!(POLICIES.map(|name| counts[name]), expected, "{balance}");
    }
}

#[test]
fn rejected_policies_come_as_often_as_their_weights_say() {
    let count = |rejected: Value| {
        let place = place(&prepare(&json!({ "rejected": rejected, "dpo": 1 })));
        prepared(&place, [200, 0, 0], "some steps");
        run(&place, 0);
        let rows = place.rows(&["m.yaml", "made.dpo"]);
        assert!(rows.iter().all(|row| policy(&row["chosen"]) == "Standard_Query"));
        rows.iter().filter(|row| policy(&row["rejected"]) == "Complex_Query").count()
    };
    // Of the other two, one sends to the same model.
    let harder = count(json!({}));
    assert!((115..152).contains(&harder), "{harder}");
    let even = count(json!({ "Standard_Query": { "Complex_Query": 1 } }));
    assert!((75..125).contains(&even), "{even}");
    let hard = count(json!({ "Standard_Query": { "Complex_Query": 3 } }));
    assert!((130..170).contains(&hard) && hard > harder, "{hard}");
    assert_eq!(count(json!({ "Standard_Query": { "Ambiguous_Query": 0 } })), 200);
}

#[test]
fn what_examples_must_not_show_is_refused_with_examples() {
    let place = place(&prepare(&json!({})));
    prepared(&place, [3, 3, 3], "a question of forty-two steps");
    run(&place, 0);
    let analyses = fs::read_to_string(place.path("analyses.jsonl")).unwrap();
    let (first, rest) = analyses.split_once('\n').unwrap();
    let plain = rest.replace("a question of forty-two steps", "some steps");
    fs::write(place.path("analyses.jsonl"), format!("{first}\n{plain}")).unwrap();
    let said = run(&place, 1);
    assert!(said.contains("the analysis of `Standard_Query-0` says the answer, `forty-two`"), "{said}");
    prepared(&place, [3, 3, 3], "this looks like a complex_query");
    let said = run(&place, 1);
    assert!(
        said.contains("the analysis of `Standard_Query-0` names a policy, `Complex_Query`") && said.contains("and 6 more"),
        "{said}"
    );
    prepared(&place, [3, 3, 3], "it was correct/correct");
    let said = run(&place, 1);
    assert!(said.contains("the analysis of `Standard_Query-0` has the verdicts, `correct/correct`"), "{said}");
    prepared(&place, [3, 3, 3], "the large model gets it");
    let said = run(&place, 1);
    assert!(said.contains("the analysis of `Standard_Query-0` speaks of the `large model`"), "{said}");
    prepared(&place, [3, 3, 3], "some steps");
    // The same words again, held out.
    let mut questions = fs::read_to_string(place.path("questions.jsonl")).unwrap();
    let mut labels = fs::read_to_string(place.path("labels.jsonl")).unwrap();
    let copied = questions.lines().next().unwrap().replace("Standard_Query-0", "held").replace("\"train\"", "\"test\"");
    questions += &(copied + "\n");
    let label = labels.lines().next().unwrap().replace("Standard_Query-0", "held").replace("\"train\"", "\"test\"");
    labels += &(label + "\n");
    fs::write(place.path("questions.jsonl"), questions).unwrap();
    fs::write(place.path("labels.jsonl"), labels).unwrap();
    let said = run(&place, 1);
    assert!(said.contains("`Standard_Query-0` asks what `held` asks, which is held out"), "{said}");
    write_stage(&place, &prepare(&json!({ "leaks": "warn" })));
    let said = run(&place, 0);
    assert!(said.contains("asks what `held` asks"), "{said}");
}

#[test]
fn wrong_names_and_weights_are_mistakes_of_the_manifest() {
    let place = place(&prepare(&json!({
        "paraphrases": { "Simple_Query": ["x"] }, "rejected": { "Complex_Query": { "Standard_Query": -1, "Other": 1 } },
    })));
    prepared(&place, [1, 1, 1], "some steps");
    let said = run(&place, 2);
    for told in ["there is no policy `Simple_Query`", "there is no policy `Other`", "a weight must not be negative"] {
        assert!(said.contains(told), "{told}: {said}");
    }
}

#[test]
fn examples_of_a_split_are_shown_and_never_asked_or_shown_to_themselves() {
    let server = Server::new(|_, _| Answer::says("A"));
    let place = Place::new();
    let row = |subject: &str, split: &str, number: usize| {
        let meta = json!({ "subject": subject, "split": split });
        json!({
            "id": format!("{subject}-{split}-{number}"), "question": format!("{subject} {split} {number}?"), "gold": ["B"],
            "choices": ["x", "y"], "benchmark": "b", "split": "train", "meta": meta,
        })
    };
    let rows = ["art", "law"]
        .into_iter()
        .flat_map(|subject| (0..2).map(move |number| row(subject, "dev", number)).chain([row(subject, "test", 0)]));
    fs::write(place.path("questions.jsonl"), lines(rows)).unwrap();
    let manifest = |from: &str| {
        let text = format!(
            "version: 1\nproviders: {{ p: {{ kind: openai, base_url: \"{}\" }} }}\nstages:\n  answers: {{ uses: answer, in: {{ questions: \
             ./questions.jsonl }}, with: {{ models: {{ medium: p/m }}, shots: {{ from: {from}, n: 2 }} }} }}\n",
            server.url()
        );
        fs::write(place.path("m.yaml"), text).unwrap();
    };
    manifest("dev");
    place.good(&["run", "m.yaml", "--budget", "none"]);
    let ids: Vec<_> = place.rows(&["m.yaml", "answers"]).iter().map(|row| row["id"].clone()).collect();
    assert_eq!(ids, ["art-test-0", "law-test-0"]);
    let messages = server.requests()[0].body["messages"].clone();
    let subject = if messages.to_string().contains("art") { "art" } else { "law" };
    let said: Vec<_> = messages.as_array().unwrap().iter().map(|turn| turn["content"].as_str().unwrap()).collect();
    assert_eq!(said.len(), 5, "{said:?}");
    assert!(said[0].starts_with(&format!("{subject} dev 0?")) && said[2].starts_with(&format!("{subject} dev 1?")), "{said:?}");
    assert_eq!((said[1], said[3]), ("Answer: B", "Answer: B"));
    assert!(said[4].starts_with(&format!("{subject} test 0?")), "{said:?}");
    manifest("validation");
    let output = place.call(&["run", "m.yaml", "--budget", "none"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && told.contains("has 0 examples to show, not 2"), "{told}");
}

/// TRL and `datasets` are Python's; where they are not at hand, this says so.
#[test]
#[expect(clippy::print_stderr, reason = "a test says what it skips")]
fn examples_load_in_trl_as_they_are() {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let there = Command::new(&python).args(["-c", "import datasets, transformers, trl"]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: `{python}` has no `datasets` and `trl`; PYTHON names another one");
        return;
    }
    let place = place(&prepare(&json!({})));
    prepared(&place, [4, 4, 4], "some steps");
    let sft = json!({ "uses": "sft", "in": { "examples": "made.sft" }, "with": { "epochs": 1, "new": { "architecture": "llama", "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "max_position_embeddings": 512 } } });
    let manifest = fs::read_to_string(place.path("m.yaml")).unwrap();
    fs::write(place.path("m.yaml"), format!("{manifest}  trained: {sft}\n")).unwrap();
    run(&place, 0);
    for (port, path) in [("made.sft", "sft.jsonl"), ("made.dpo", "dpo.jsonl"), ("trained.checkpoint", "checkpoint")] {
        place.good(&["export", "m.yaml", port, path]);
    }
    fs::create_dir(place.path("prepared")).unwrap();
    for method in ["sft", "dpo"] {
        let stage = json!({ "stage": method, "base_model": "checkpoint", "train_data": format!("{method}.jsonl"), "max_steps": 1, "max_length": 512 });
        fs::write(place.path("stage.json"), stage.to_string()).unwrap();
        let out = format!("trained-{method}");
        let mut debug = Command::new(env!("CARGO_BIN_EXE_fingerpost"));
        let debug = debug.args(["debug", "train", "--stage", "stage.json", "--out", &out]).current_dir(place.folder.path());
        assert!(debug.status().unwrap().success());
        fs::rename(place.path(&format!("{out}/prepared.jsonl")), place.path(&format!("prepared/{method}.jsonl"))).unwrap();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/program/load_examples.py");
    let output = Command::new(&python).arg(script).current_dir(place.folder.path()).env("HF_HUB_OFFLINE", "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
