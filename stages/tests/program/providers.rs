//! Models over HTTP, against a server of the tests' own.

use std::{collections::BTreeSet, fs, path::Path, process::Output};

use serde_json::{Value, json};

use crate::{
    place::Place,
    server::{Answer, Server},
};

/// A place with questions, and a manifest that lets one model answer them.
pub(crate) fn place(kind: &str, url: &str, questions: usize, with: &str) -> Place {
    let place = Place::new();
    write_questions(&place, 0..questions);
    write_manifest(&place, kind, url, with);
    place
}

pub(crate) fn write_questions(place: &Place, numbers: impl IntoIterator<Item = usize>) {
    let row = |number| json!({ "id": format!("q{number}"), "question": format!("What is {number}?"), "gold": "x" }).to_string();
    let lines: Vec<_> = numbers.into_iter().map(row).collect();
    fs::write(place.path("q.jsonl"), lines.join("\n")).unwrap();
}

fn write_manifest(place: &Place, kind: &str, url: &str, with: &str) {
    let manifest = format!(
        "version: 1
name: test
providers:
  p: {{ kind: {kind}, base_url: \"{url}\", timeout: 20 }}
prices:
  p/m: {{ input: 1, output: 2, source: test, date: 2026-11-24 }}
stages:
  questions: {{ uses: benchmark, with: {{ name: jsonl, path: q.jsonl }} }}
  answers: {{ uses: answer, in: {{ questions: questions }}, with: {{ models: {{ medium: p/m }}{with} }} }}
"
    );
    fs::write(place.path("m.yaml"), manifest).unwrap();
}

pub(crate) fn run(place: &Place) -> Output {
    place.call(&["run", "m.yaml", "--budget", "none"])
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn failed(output: &Output, code: i32) -> String {
    let text = err(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

#[test]
fn each_protocol_asks_and_reads_in_its_own_words() {
    let gemini = json!({
        "candidates": [{ "content": { "role": "model", "parts": [{ "text": "thinking", "thought": true }, { "text": "42" }] }, "finishReason": "STOP" }],
        "usageMetadata": { "promptTokenCount": 7, "candidatesTokenCount": 2, "thoughtsTokenCount": 30, "cachedContentTokenCount": 3 },
        "modelVersion": "m-001",
    });
    let openai = json!({
        "model": "m-2026-01-02",
        "choices": [{ "message": { "content": "42" }, "finish_reason": "stop" }],
        "usage": {
            "prompt_tokens": 7, "completion_tokens": 32,
            "prompt_tokens_details": { "cached_tokens": 3 }, "completion_tokens_details": { "reasoning_tokens": 30 },
        },
    });
    let anthropic = json!({
        "model": "m-20260102", "stop_reason": "end_turn",
        "content": [{ "type": "thinking", "thinking": "hm" }, { "type": "text", "text": "42" }],
        "usage": { "input_tokens": 4, "output_tokens": 32, "cache_read_input_tokens": 3 },
    });
    for (kind, reply, path, usage) in [
        ("gemini", gemini, "/v1beta/models/m:generateContent", json!({ "input": 7, "output": 2, "thinking": 30, "cached": 3 })),
        ("openai", openai, "/chat/completions", json!({ "input": 7, "output": 2, "thinking": 30, "cached": 3 })),
        ("anthropic", anthropic, "/v1/messages", json!({ "input": 7, "output": 32, "thinking": 0, "cached": 3 })),
    ] {
        let server = Server::new(move |_, _| Answer::json(200, &reply));
        let place = place(kind, &server.url(), 1, ", system: Be brief., settings: { temperature: 0.5, max_output_tokens: 99 }");
        assert_eq!(run(&place).status.code(), Some(0), "{kind}");
        let row = &place.rows(&["m.yaml", "answers"])[0];
        assert_eq!((&row["text"], &row["outcome"], &row["usage"]), (&json!("42"), &json!("ok"), &usage), "{kind}: {row}");
        let request = &server.requests()[0];
        assert_eq!(request.path, path);
        let asked = match kind {
            "gemini" => json!({
                "systemInstruction": { "parts": [{ "text": "Be brief." }] },
                "contents": [{ "role": "user", "parts": [{ "text": "What is 0?" }] }],
                "generationConfig": { "temperature": 0.5, "maxOutputTokens": 99 },
            }),
            "openai" => json!({
                "model": "m", "temperature": 0.5, "max_tokens": 99,
                "messages": [{ "role": "system", "content": "Be brief." }, { "role": "user", "content": "What is 0?" }],
            }),
            _ => json!({
                "model": "m", "temperature": 0.5, "max_tokens": 99, "system": "Be brief.",
                "messages": [{ "role": "user", "content": "What is 0?" }],
            }),
        };
        assert_eq!(request.body, asked, "{kind}");
    }
}

#[test]
fn only_new_rows_are_asked_for() {
    let server = Server::new(|_, _| Answer::says("x"));
    let place = place("openai", &server.url(), 50, "");
    assert_eq!(run(&place).status.code(), Some(0));
    assert_eq!(server.count(), 50);
    write_questions(&place, 0..60);
    assert_eq!(run(&place).status.code(), Some(0));
    assert_eq!(server.count(), 60, "ten rows were added");
    write_questions(&place, (5..60).rev());
    assert_eq!(run(&place).status.code(), Some(0));
    assert_eq!(server.count(), 60, "rows were taken out and turned round");
    let spent = place.good(&["spent", "--format", "json"]);
    let spent: Value = serde_json::from_str(&spent).unwrap();
    // Ten tokens in at a dollar a million, five out at two.
    assert_eq!(spent["payees"]["p/m"]["nano_dollars"], 60 * 20_000, "{spent}");
}

#[test]
fn a_process_that_is_killed_buys_nothing_twice_that_it_had() {
    let server = Server::new(|_, _| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        Answer::says("x")
    });
    let place = place("openai", &server.url(), 400, "");
    let mut child = place.command(&["run", "m.yaml", "--budget", "none", "--quiet"]).spawn().unwrap();
    while server.count() < 200 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = server.count();
    assert_eq!(run(&place).status.code(), Some(0));
    let twice = server.count() - 400;
    let distinct: BTreeSet<_> = server.requests().iter().map(|request| request.body.to_string()).collect();
    assert_eq!(distinct.len(), 400);
    assert!(before < 400 && twice <= 64, "{twice} of {before} were asked twice, and at most 64 were under way");
}

#[test]
fn a_truncated_answer_gets_more_room_and_an_empty_one_a_second_try() {
    let server = Server::new(|request, _| match request.body["max_tokens"].as_u64() {
        Some(100) if request.said().contains("What is 0?") => Answer::chat("so far", "length", "m"),
        Some(400) => Answer::says("whole"),
        _ => Answer::says(""),
    });
    let place = place("openai", &server.url(), 2, ", settings: { max_output_tokens: 100 }");
    assert_eq!(run(&place).status.code(), Some(0));
    let rows = place.rows(&["m.yaml", "answers"]);
    assert_eq!((&rows[0]["text"], &rows[0]["outcome"]), (&json!("whole"), &json!("ok")));
    assert_eq!(rows[0]["usage"]["output"], 10, "both calls were paid for");
    assert_eq!((&rows[1]["text"], &rows[1]["outcome"]), (&Value::Null, &json!("empty")));
    assert_eq!(server.count(), 4);
}

#[test]
fn another_model_than_the_first_stops_the_stage_or_marks_the_row() {
    let server = Server::new(|request, _| {
        let model = if request.said().contains("What is 3?") { "other" } else { "m-2026-01-02" };
        Answer::chat("x", "stop", model)
    });
    let place = place("openai", &server.url(), 3, "");
    assert_eq!(run(&place).status.code(), Some(0));
    // Later, and in another run.
    write_questions(&place, 0..4);
    place.good(&["run", "m.yaml", "questions"]);
    let plan = place.good(&["plan", "m.yaml"]);
    for told in
        ["`p/m` is pinned to `m-2026-01-02`, as it was served first", "1 call, 3 cached", "1 to run, 0 decided later; 1 call for"]
    {
        assert!(plan.contains(told), "{told}: {plan}");
    }
    let text = failed(&run(&place), 1);
    assert!(text.contains("`other`") && text.contains("`m-2026-01-02`"), "{text}");
    write_manifest(&place, "openai", &server.url(), ", on_model_swap: mark");
    assert_eq!(run(&place).status.code(), Some(0));
    let rows = place.rows(&["m.yaml", "answers"]);
    assert_eq!((&rows[2]["outcome"], &rows[3]["outcome"]), (&json!("ok"), &json!("model_swapped")));
    write_manifest(&place, "openai", &server.url(), ", served: { medium: other }");
    assert!(failed(&run(&place), 1).contains("`served:` says `other`"));
    assert_eq!(server.count(), 4, "nothing was bought again");
}

#[test]
fn a_missing_key_is_named_before_anything_runs() {
    let place = Place::new();
    write_questions(&place, 0..1);
    fs::write(
        place.path("m.yaml"),
        "version: 1
stages:
  questions: { uses: benchmark, with: { name: jsonl, path: q.jsonl } }
  answers: { uses: answer, in: { questions: questions }, with: { models: { medium: gemini/gemini-2.5-flash } } }
",
    )
    .unwrap();
    let output = place.command(&["run", "m.yaml", "--budget", "none"]).env_remove("GEMINI_API_KEY").output().unwrap();
    let text = failed(&output, 4);
    assert!(text.contains("`GEMINI_API_KEY`"), "{text}");
    assert!(!text.contains("Ran"), "nothing runs before: {text}");
}

#[test]
fn a_budget_is_hard_for_models_too() {
    let server = Server::new(|_, _| Answer::says("x"));
    let place = place("openai", &server.url(), 30, ", settings: { max_output_tokens: 100 }");
    // At worst a call takes 200 millionths of a dollar for its answer and some 30 for its prompt; it costs 20.
    let text = failed(&place.call(&["run", "m.yaml", "--budget", "0.0005"]), 5);
    assert!(text.contains("replies that were paid for stay cached"), "{text}");
    let bought = server.count();
    assert!((10..=15).contains(&bought), "{bought} calls of 20 millionths, as long as the worst case of one more fits into 500");
    assert_eq!(place.call(&["run", "m.yaml", "--budget", "0.001"]).status.code(), Some(0));
    assert_eq!(server.count(), 30);
    fs::write(place.path("m.yaml"), fs::read_to_string(place.path("m.yaml")).unwrap().replace("p/m: {", "p/other: {")).unwrap();
    write_questions(&place, 100..101);
    assert!(failed(&place.call(&["run", "m.yaml", "--budget", "1"]), 5).contains("price of a call is unknown"));
    assert!(failed(&place.call(&["run", "m.yaml"]), 5).contains("--budget"));
}

/// Every file below a folder, as bytes.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if let Ok(bytes) = fs::read(&path) {
            found.push((path.display().to_string(), bytes));
        }
    }
    found
}

#[test]
fn a_key_is_sent_and_seen_nowhere_else() {
    const KEY: &str = "canary-key-7f3a91";
    for (kind, header) in [("openai", "authorization"), ("gemini", "x-goog-api-key"), ("anthropic", "x-api-key")] {
        // A server that repeats the key in its error.
        let server =
            Server::new(|_, _| Answer::json(401, &json!({ "error": { "message": format!("the key {KEY} is not known") } })));
        let place = place(kind, &server.url(), 3, "");
        let manifest = fs::read_to_string(place.path("m.yaml")).unwrap();
        fs::write(place.path("m.yaml"), manifest.replace("timeout: 20", "timeout: 20, api_key: { env: TEST_KEY }")).unwrap();
        let missing = place.command(&["run", "m.yaml", "--budget", "none"]).env_remove("TEST_KEY").output().unwrap();
        assert!(failed(&missing, 4).contains("`TEST_KEY`"));
        let output =
            place.command(&["run", "m.yaml", "--budget", "none", "--format", "json"]).env("TEST_KEY", KEY).output().unwrap();
        assert_eq!(output.status.code(), Some(4));
        let tried = place.command(&["try", "m.yaml", "answers", "--row", "q0"]).env("TEST_KEY", KEY).output().unwrap();
        assert!(String::from_utf8_lossy(&tried.stdout).contains("*** (TEST_KEY)"), "{}", err(&tried));
        for output in [&output, &tried] {
            assert!(!err(output).contains(KEY) && !String::from_utf8_lossy(&output.stdout).contains(KEY), "{}", err(output));
        }
        // The error is told, without the key in it.
        assert!(String::from_utf8_lossy(&output.stdout).contains("the key *** is not known"));
        for (path, bytes) in files(place.folder.path()) {
            assert!(!bytes.windows(KEY.len()).any(|window| window == KEY.as_bytes()), "the key is in {path}");
        }
        let sent = &server.requests()[0].raw;
        assert!(sent.to_lowercase().lines().any(|line| line.starts_with(header) && line.contains(KEY)), "{sent}");
        // From a file beside the manifest, too; and what the environment says wins.
        fs::write(place.path(".env"), format!("TEST_KEY={KEY}-from-file\n")).unwrap();
        place.command(&["run", "m.yaml", "--budget", "none"]).env_remove("TEST_KEY").output().unwrap();
        assert!(server.requests().last().unwrap().raw.contains("canary-key-7f3a91-from-file"));
        place.command(&["run", "m.yaml", "--budget", "none"]).env("TEST_KEY", KEY).output().unwrap();
        assert!(!server.requests().last().unwrap().raw.contains("from-file"));
    }
}

#[test]
fn answers_that_were_paid_for_elsewhere_are_bought_by_nobody() {
    let server = Server::new(|_, _| Answer::says("called"));
    let place = place("openai", &server.url(), 4, "");
    let line =
        |name: &str, value: &str, text: &str| format!("{{\"{name}\": \"{value}\", \"text\": \"{text}\", \"output\": 3}}\n");
    let lines = [line("id", "q0", "zero"), line("question", "What is 1?", "one"), line("id", "q9", "of no question")].concat();
    fs::write(place.path("answers.jsonl"), lines).unwrap();
    let import = |payee: &str| place.call(&["cache", "import", "answers.jsonl", "--as", payee, "--manifest", "m.yaml"]);
    let early = import("p/m");
    assert_eq!(early.status.code(), Some(3), "{}", err(&early));
    assert!(err(&early).contains("`questions`, which has not run"), "{}", err(&early));
    place.good(&["run", "m.yaml", "questions"]);
    assert!(
        failed(&import("p/other"), 2).contains("no row of `m.yaml` matches an answer in `answers.jsonl` for model `p/other`")
    );
    assert!(String::from_utf8_lossy(&import("p/m").stdout).contains("imported 2 replies, 0 already present"));
    // The one manifest in the folder is meant where none is named.
    let again = place.call(&["cache", "import", "answers.jsonl", "--as", "p/m"]);
    assert!(String::from_utf8_lossy(&again.stdout).contains("imported 0 replies, 2 already present"), "{}", err(&again));
    assert_eq!(run(&place).status.code(), Some(0));
    assert_eq!(server.count(), 2);
    let texts: Vec<_> = place.rows(&["m.yaml", "answers"]).iter().map(|row| row["text"].clone()).collect();
    assert_eq!(texts, ["zero", "one", "called", "called"]);
    fs::write(place.path("answers.jsonl"), "{\"id\": \"q0\"}\n").unwrap();
    assert!(failed(&import("p/m"), 1).contains("question `q0`: the answer has no `text`"));
    fs::write(place.path("answers.jsonl"), "{\"text\": \"x\"}\n").unwrap();
    assert!(failed(&import("p/m"), 2).contains("line 1: it has neither `id` nor `question`"));
}
