//! The shipped manifests of real models and benchmarks, from end to end against a server of the tests' own.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    place::Place,
    server::{Answer, Request, Server},
};

/// Enough that every policy has examples.
const QUESTIONS: usize = 90;

/// Sizes that a test can wait for.
const SMALL: [&str; 3] = [
    "stages.sft.with.new={ architecture: llama, hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1 }",
    "stages.sft.with.epochs=1",
    "stages.sft.with.batch_size=32",
];

/// Makes a folder of a model's files to start from, as a hub would have them.
fn write_base(place: &Place) {
    let rows = ["one", "two"].map(|word| {
        let turn = |role: &str| json!([{ "role": role, "content": word }]);
        json!({ "id": word, "prompt": turn("user"), "completion": turn("assistant") }).to_string()
    });
    fs::write(place.path("rows.jsonl"), rows.join("\n")).unwrap();
    let manifest = "version: 1
policies: { Only: { model: medium, description: all } }
stages:
  base:
    uses: sft
    in: { examples: ./rows.jsonl }
    with: { new: { hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1, max_position_embeddings: 1024 }, epochs: 1 }
";
    fs::write(place.path("base.yaml"), manifest).unwrap();
    place.good(&["run", "base.yaml"]);
    place.good(&["export", "base.yaml", "base.checkpoint", "base"]);
    fs::remove_file(place.path("base/router.json")).unwrap();
}

/// The number in the last `number N` of a text.
fn number(text: &str) -> usize {
    let tail = text.rsplit("number ").next().unwrap();
    tail.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

/// What a model says: the dear ones know more.
fn answer(model: &str, asked: &str) -> String {
    let number = number(asked);
    let knows = match model {
        small if small.contains("lite") || small == "small" => number.is_multiple_of(3),
        _ => number % 3 != 2,
    };
    match (asked.contains("\nA. "), knows) {
        (true, true) => "It is plain.\nAnswer: B".to_owned(),
        (true, false) => "Answer: C".to_owned(),
        (false, true) => format!("It is gold{number}x"),
        (false, false) => "It is something else".to_owned(),
    }
}

fn reply(request: &Request) -> Answer {
    let said = match (&request.body["messages"], &request.body["contents"]) {
        (Value::Array(turns), _) => turns.last().unwrap()["content"].as_str().unwrap().to_owned(),
        (_, Value::Array(turns)) => turns.last().unwrap()["parts"][0]["text"].as_str().unwrap().to_owned(),
        _ => panic!("no protocol of ours: {}", request.raw),
    };
    let path_model = request.path.rsplit('/').next().unwrap().split(':').next().unwrap();
    let model = request.body["model"].as_str().unwrap_or(path_model).to_owned();
    let text = if said.starts_with("Grade an answer") {
        let (question, answered) = said.split_once("<right>").unwrap();
        let right = answered
            .split_once("<answer>")
            .unwrap()
            .1
            .contains(&format!("gold{}x", number(question.split("</question>").next().unwrap())));
        json!({ "reason": "r", "verdict": if right { "correct" } else { "incorrect" } }).to_string()
    } else if said.starts_with("Say what can be told") {
        json!({ "domain": "d", "kind": "k", "steps": 1, "ambiguous": false, "reasoning": "It is plain." }).to_string()
    } else {
        answer(&model, &said)
    };
    let body = if request.path.contains(":generateContent") {
        json!({
            "candidates": [{ "content": { "parts": [{ "text": text }] }, "finishReason": "STOP" }],
            "usageMetadata": { "promptTokenCount": 9, "candidatesTokenCount": 5 }, "modelVersion": model,
        })
    } else if request.path.ends_with("/messages") {
        json!({
            "content": [{ "type": "text", "text": text }], "stop_reason": "end_turn", "model": model,
            "usage": { "input_tokens": 9, "output_tokens": 5 },
        })
    } else {
        return Answer::chat(&text, "stop", &model);
    };
    Answer::json(200, &body)
}

/// Rows in a benchmark's own form.
fn benchmark(name: &str) -> String {
    let question = |number: usize| format!("What is number {number}?");
    let row = |number: usize| match name {
        "simpleqa" => format!("\"{{'topic': 'Other', 'urls': []}}\",{},gold{number}x\n", question(number)),
        "truthfulqa" => format!(
            "Adversarial,Misc,{},gold{number}x,else,gold{number}x; indeed gold{number}x,else; other,none\n",
            question(number)
        ),
        "mmlu" => format!("{},iron,tin,zinc,lead,B\n", question(number)),
        "openai-compatible" => format!("{}\n", json!({ "question": question(number), "gold": format!("gold{number}x") })),
        _ => format!("{}\n", json!({ "question": question(number), "answer": [format!("gold{number}x")] })),
    };
    let head = match name {
        "simpleqa" => "metadata,problem,answer\n",
        "truthfulqa" => "Type,Category,Question,Best Answer,Best Incorrect Answer,Correct Answers,Incorrect Answers,Source\n",
        _ => "",
    };
    let rows: Vec<_> = (0..QUESTIONS).map(row).collect();
    head.to_owned() + &rows.concat()
}

fn runs_from_end_to_end(name: &str, file: &str) {
    let server = Server::new(|request, _| reply(request));
    let place = Place::new();
    fs::write(place.path(file), benchmark(name)).unwrap();
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../pipelines/{name}.yaml"));
    let manifest = manifest.to_str().unwrap();
    let (path, address, claude) =
        (format!("params.path={file}"), format!("params.address={}", server.url()), format!("params.claude={}", server.url()));
    let mut sets = vec![path.as_str(), address.as_str()];
    if name == "three-models" {
        sets.push(&claude);
    }
    let based = name == "simpleqa";
    if based {
        write_base(&place);
        sets.push("params.base=base");
    }
    let with = |words: &[&str], sets: &[&str]| {
        let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        words.extend(sets.iter().flat_map(|set| ["--set".to_owned(), (*set).to_owned()]));
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let mut command = place.command(&words);
        let output = command.env("GEMINI_API_KEY", "key").env("ANTHROPIC_API_KEY", "key").output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    with(&["check", manifest], &sets);
    sets.extend(SMALL.iter().filter(|set| !(based && set.contains(".new="))));
    with(&["run", manifest, "--budget", "none"], &sets);
    let calls = server.count();
    with(&["run", manifest, "--budget", "0", "--frozen"], &sets);
    assert_eq!(server.count(), calls, "nothing is bought twice");

    let show = |what: &str| with(&["show", manifest, what], &sets);
    let labels: Vec<Value> = show("labels").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(labels.len(), QUESTIONS);
    let policy = |number: usize| match number % 3 {
        0 if name == "three-models" => "Easy_Query",
        0 => "Standard_Query",
        1 if name == "three-models" => "Standard_Query",
        1 => "Complex_Query",
        _ => "Ambiguous_Query",
    };
    let questions: Vec<Value> = show("questions").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (question, label) in questions.iter().zip(&labels) {
        assert_eq!(
            (&question["id"], label["policy"].as_str().unwrap()),
            (&label["id"], policy(number(question["question"].as_str().unwrap())))
        );
    }
    let metrics: Value = serde_json::from_str(&show("evaluation.metrics")).unwrap();
    assert!(metrics.is_object());
}

#[test]
fn simpleqa_runs_from_end_to_end() {
    runs_from_end_to_end("simpleqa", "simple.csv");
}

#[test]
fn natural_questions_runs_from_end_to_end() {
    runs_from_end_to_end("natural-questions", "nq.jsonl");
}

#[test]
fn mmlu_runs_from_end_to_end() {
    runs_from_end_to_end("mmlu", "anatomy_test.csv");
}

#[test]
fn truthfulqa_runs_from_end_to_end() {
    runs_from_end_to_end("truthfulqa", "truthful.csv");
}

#[test]
fn three_models_run_from_end_to_end() {
    runs_from_end_to_end("three-models", "nq.jsonl");
}

#[test]
fn an_openai_compatible_server_runs_from_end_to_end() {
    runs_from_end_to_end("openai-compatible", "own.jsonl");
}

#[test]
fn a_checkpoint_on_this_machine_answers_and_its_replies_are_kept() {
    let place = Place::new();
    write_base(&place);
    let rows = ["one", "two", "one more"].map(|word| json!({ "id": word, "question": word, "gold": word }).to_string());
    fs::write(place.path("q.jsonl"), rows.join("\n")).unwrap();
    let manifest = |provider: &str| {
        let text = format!(
            "version: 1\nproviders: {{ mine: {{ kind: local{provider} }} }}\nstages:\n  questions: {{ uses: benchmark, with: {{ name: jsonl, \
             path: q.jsonl }} }}\n  answers: {{ uses: answer, in: {{ questions: questions }}, with: {{ models: {{ medium: mine/tiny }}, \
             settings: {{ max_output_tokens: 5 }} }} }}\n"
        );
        fs::write(place.path("m.yaml"), text).unwrap();
    };
    manifest("");
    let output = place.call(&["check", "m.yaml"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && told.contains("a `local` provider needs the model's folder"), "{told}");
    manifest(", folder: base");
    let calls = |words: &[&str]| -> (u64, u64) {
        let events = place.good(&[&["run", "m.yaml", "--format", "json"], words].concat());
        let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let ended = events.iter().find(|event| event["event"] == "stage_finished" && event["stage"] == "answers");
        ended.map_or((0, 0), |ended| (ended["calls"].as_u64().unwrap(), ended["reused"].as_u64().unwrap()))
    };
    // It costs nothing, so no budget is asked for. A truncated answer is asked for again with a larger cap.
    let (made, _) = calls(&[]);
    assert!((3..=6).contains(&made), "{made}");
    let rows = place.rows(&["m.yaml", "answers"]);
    assert_eq!(rows.len(), 3);
    for row in &rows {
        assert!(["ok", "truncated", "empty"].contains(&row["outcome"].as_str().unwrap()), "{row}");
        assert!(row["usage"]["input"].as_u64().unwrap() > 0 && row["usage"]["output"].as_u64().unwrap() > 0, "{row}");
        assert_eq!((&row["asked"], &row["served"]), (&json!("mine/tiny"), &json!("tiny")));
    }
    assert_eq!(calls(&["--force", "answers"]), (0, made), "its replies are kept");
    assert_eq!(place.rows(&["m.yaml", "answers"]), rows);
    let config = fs::read_to_string(place.path("base/config.json")).unwrap();
    fs::write(place.path("base/config.json"), config + "\n").unwrap();
    assert_eq!(calls(&[]).0, made, "another folder is another model");
}
