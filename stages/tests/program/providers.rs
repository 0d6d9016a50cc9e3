//! Models over HTTP, against a server of the tests' own.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::Output,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};

use crate::{
    place::Place,
    server::{Answer, Server},
};

/// A place with questions, and a manifest that lets one model answer them.
fn place(kind: &str, url: &str, questions: usize, with: &str) -> Place {
    let place = Place::new();
    write_questions(&place, 0..questions);
    write_manifest(&place, kind, url, with);
    place
}

fn write_questions(place: &Place, numbers: impl IntoIterator<Item = usize>) {
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

fn run(place: &Place) -> Output {
    place.call(&["run", "m.yaml", "--budget", "none"])
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn failed(output: &Output, code: i32) -> String {
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
fn what_the_server_says_is_told_with_stage_and_row_and_nothing_is_lost() {
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let page = "<html><body>Welcome</body></html>";
    let inside = json!({ "error": { "message": "no such model m", "type": "not_found_error" } });
    let cases: Vec<(&str, u16, Vec<u8>, &[&str])> = vec![
        (
            "unauthorised",
            401,
            json!({ "error": { "message": "Incorrect API key" } }).to_string().into(),
            &["401", "Incorrect API key"],
        ),
        (
            "unknown",
            404,
            json!({ "error": { "message": "The model does not exist" } }).to_string().into(),
            &["404", "does not exist"],
        ),
        ("a page", 200, page.into(), &["HTML", "Welcome", "base_url"]),
        ("an error inside", 200, inside.to_string().into(), &["404", "no such model m"]),
        ("not UTF-8", 200, b"{\"choices\": \"\xff\xfe\"}".to_vec(), &["not UTF-8"]),
        ("deep", 200, deep.into(), &["recursion limit"]),
        ("huge", 200, vec![b' '; 20 << 20], &["more than 16 MiB"]),
        ("moved", 301, b"".to_vec(), &["301", "base_url"]),
    ];
    for (name, status, body, said) in cases {
        let server = Server::new(move |request, _| {
            if request.said().contains("What is 0?") { Answer::says("kept") } else { Answer::raw(status, body.clone()) }
        });
        let place = place("openai", &server.url(), 1, "");
        assert_eq!(run(&place).status.code(), Some(0), "{name}");
        write_questions(&place, 0..2);
        let text = failed(&run(&place), 4);
        for word in said.iter().chain(&["answers: question `q1`", "p/m"]) {
            assert!(text.contains(word), "{name}: no `{word}` in {text}");
        }
        write_questions(&place, 0..1);
        let asked = server.count();
        assert_eq!(run(&place).status.code(), Some(0), "{name}");
        assert_eq!(server.count(), asked, "{name}: what was bought is kept");
    }
}

#[test]
fn an_error_means_what_its_vendor_says() {
    let openai = |code: &str| json!({ "error": { "message": "as the code says", "code": code } });
    let of_the_day = json!({
        "error": { "code": 429, "status": "RESOURCE_EXHAUSTED", "message": "quota exceeded", "details": [
            { "@type": "QuotaFailure", "violations": [{ "quotaId": "GenerateRequestsPerDayPerProject" }] },
        ] },
    });
    let too_long =
        json!({ "type": "error", "error": { "type": "invalid_request_error", "message": "prompt is too long: 9 > 8" } });
    for (kind, status, body, outcome) in [
        ("openai", 429, openai("insufficient_quota"), None),
        ("gemini", 429, of_the_day, None),
        ("openai", 400, openai("content_filter"), Some("blocked")),
        ("openai", 400, openai("context_length_exceeded"), Some("error")),
        ("anthropic", 400, too_long, Some("error")),
    ] {
        let server = Server::new(move |_, _| Answer::json(status, &body));
        let place = place(kind, &server.url(), 1, "");
        if let Some(outcome) = outcome {
            assert_eq!(run(&place).status.code(), Some(0), "{kind}");
            assert_eq!(place.rows(&["m.yaml", "answers"])[0]["outcome"], outcome, "{kind}");
        } else {
            let text = failed(&run(&place), 4);
            assert!(text.contains("429") && text.contains("the quota of the account behind `p` is used up"), "{kind}: {text}");
        }
        assert_eq!(server.count(), 1, "{kind}: asking again would not help");
    }
}

#[test]
fn a_wrong_key_is_told_once_and_not_ten_thousand_times() {
    let server = Server::new(|_, _| Answer::json(401, &json!({ "error": { "message": "Incorrect API key" } })));
    let place = place("openai", &server.url(), 2000, "");
    let text = failed(&run(&place), 4);
    assert_eq!(text.matches("Incorrect API key").count(), 1, "{text}");
    assert!(server.count() <= 32, "{} requests", server.count());
}

#[test]
fn nobody_there_and_no_certificate_end_soon() {
    let server = Server::new(|_, _| Answer::says("x"));
    let nobody = place("openai", "http://127.0.0.1:1", 3, "");
    let text = failed(&run(&nobody), 4);
    assert!(text.contains("cannot be reached"), "{text}");
    let plain = place("openai", &server.url().replace("http:", "https:"), 3, "");
    let text = failed(&run(&plain), 4);
    assert!(text.contains("127.0.0.1"), "{text}");
}

#[test]
fn trouble_passes_and_a_hint_when_to_come_back_is_kept_to() {
    let first = std::sync::Mutex::new(None);
    let server = Server::new(move |_, index| match index {
        0 => Answer::raw(503, "busy"),
        1 => {
            *first.lock().unwrap() = Some(std::time::Instant::now());
            Answer {
                headers: "retry-after: 1\r\n".to_owned(),
                ..Answer::json(429, &json!({ "error": { "message": "slow down" } }))
            }
        }
        _ => {
            let waited = first.lock().unwrap().unwrap().elapsed();
            assert!(waited.as_secs_f64() > 0.99, "came back after {waited:?}");
            Answer::says("x")
        }
    });
    let place = place("openai", &server.url(), 1, "");
    assert_eq!(run(&place).status.code(), Some(0));
    assert_eq!(server.count(), 3);
}

#[test]
fn a_budget_is_hard_for_models_too() {
    let server = Server::new(|_, _| Answer::says("x"));
    let place = place("openai", &server.url(), 30, ", settings: { max_output_tokens: 100 }");
    // At worst a call takes 200 millionths of a dollar for its answer and some 30 for its prompt; it costs 20.
    let text = failed(&place.call(&["run", "m.yaml", "--budget", "0.0005"]), 5);
    assert!(text.contains("replies that are bought are kept"), "{text}");
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

/// Every field around a question and its answers that could tell the judge who answered.
const AUTHORS: [&str; 5] = ["canaryprovider", "canarymodel", "canaryserved", "canaryrole", "canarybench"];

#[test]
fn a_judge_and_an_analysis_see_nothing_that_tells_of_authors() {
    let server = Server::new(|request, _| {
        if request.said().starts_with("Grade an answer") {
            Answer::says("{\"reason\": \"same\", \"verdict\": \"correct\"}")
        } else if request.said().starts_with("Say what can be told") {
            Answer::says(
                "{\"domain\": \"d\", \"kind\": \"k\", \"steps\": 1, \"ambiguous\": false, \"reasoning\": \"It is short.\"}",
            )
        } else {
            Answer::chat("the answer", "stop", "canaryserved")
        }
    });
    let place = Place::new();
    let question = json!({
        "id": "canaryid", "question": "Which one?", "gold": "canarygold", "meta": { "from": "canarybench", "model": "canarymodel" },
    });
    fs::write(place.path("q.jsonl"), format!("{question}\n")).unwrap();
    let manifest = format!(
        "version: 1
providers:
  canaryprovider: {{ kind: openai, base_url: \"{0}\" }}
  judge: {{ kind: openai, base_url: \"{0}\" }}
stages:
  questions: {{ uses: benchmark, with: {{ name: jsonl, path: q.jsonl }} }}
  answers: {{ uses: answer, in: {{ questions: questions }}, with: {{ models: {{ canaryrole: canaryprovider/canarymodel }} }} }}
  verdicts: {{ uses: judge, in: {{ questions: questions, answers: answers }}, with: {{ judge: llm, model: judge/j, votes: 3 }} }}
  analyses: {{ uses: analyse, in: {{ questions: questions }}, with: {{ by: llm, model: judge/j }} }}
",
        server.url()
    );
    fs::write(place.path("m.yaml"), manifest).unwrap();
    assert_eq!(run(&place).status.code(), Some(0));
    assert_eq!(place.rows(&["m.yaml", "verdicts"])[0]["verdict"], "correct");
    assert_eq!(place.rows(&["m.yaml", "analyses"])[0]["reasoning"], "It is short.");
    let requests = server.requests();
    let (judged, others): (Vec<_>, Vec<_>) = requests.into_iter().partition(|request| request.said().starts_with("Grade"));
    assert_eq!(judged.len(), 3);
    for request in &judged {
        assert!(request.raw.contains("canarygold") && request.raw.contains("the answer"), "{}", request.raw);
        for author in AUTHORS.iter().chain(&["canaryid"]) {
            assert!(!request.raw.contains(author), "`{author}` in {}", request.raw);
        }
    }
    let analysed: Vec<_> = others.iter().filter(|request| request.said().starts_with("Say what")).collect();
    assert_eq!(analysed.len(), 1);
    for word in AUTHORS.iter().chain(&["canaryid", "canarygold", "the answer"]) {
        assert!(!analysed[0].raw.contains(word), "`{word}` in {}", analysed[0].raw);
    }
}

#[test]
fn a_model_that_never_answers_in_the_form_it_is_asked_for_ends_its_stage_soon() {
    let server = Server::new(|request, _| match request.said() {
        said if said.starts_with("What is") => Answer::says("x"),
        _ => {
            std::thread::sleep(std::time::Duration::from_millis(20));
            Answer::says("It is right, I think.")
        }
    });
    let judge = "verdicts: { uses: judge, in: { questions: questions, answers: answers }, with: { judge: llm, model: p/j } }";
    let analyse = "analyses: { uses: analyse, in: { questions: questions }, with: { by: llm, model: p/j } }";
    for (stage, whose, questions) in [(judge, "the judge", 400), (analyse, "the model", 400), (judge, "the judge", 3)] {
        let place = place("openai", &server.url(), questions, "");
        let manifest = fs::read_to_string(place.path("m.yaml")).unwrap();
        fs::write(place.path("m.yaml"), format!("{manifest}  {stage}\n")).unwrap();
        place.good(&["run", "m.yaml", "answers", "--budget", "none"]);
        let before = server.count();
        let text = failed(&run(&place), 1);
        let rows = questions.min(24);
        for told in [&format!("no reply of {whose} to the first {rows} rows could be read")[..], "says `It is right, I think.`"] {
            assert_eq!(text.matches(told).count(), 1, "{told}: {text}");
        }
        assert!(!text.contains("Warning"), "{text}");
        let calls = server.count() - before;
        // Each of the first rows is asked twice, and no other.
        assert_eq!(calls, 2 * rows);
        assert_eq!(place.call(&["plan", "m.yaml", "--exit-code"]).status.code(), Some(3), "the stage is no hit");
        // The replies are kept, and tell the same again.
        failed(&run(&place), 1);
        assert_eq!(server.count() - before, calls, "what was bought is bought again");
    }
}

#[test]
fn rows_that_a_judge_says_nothing_readable_on_are_counted_in_one_line() {
    let server = Server::new(|request, _| match request.said().starts_with("What is") {
        true => Answer::says("x"),
        false if request.raw.contains("What is 7?") => Answer::says("{\"reason\": \"r\", \"verdict\": \"correct\"}"),
        false => Answer::says("no"),
    });
    let place = place("openai", &server.url(), 10, "");
    let manifest = fs::read_to_string(place.path("m.yaml")).unwrap();
    let stage = "verdicts: { uses: judge, in: { questions: questions, answers: answers }, with: { judge: llm, model: p/j } }";
    fs::write(place.path("m.yaml"), format!("{manifest}  {stage}\n")).unwrap();
    let output = run(&place);
    let text = err(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_eq!(text.matches("Warning").count(), 1, "{text}");
    assert!(text.contains("9 of 10 rows have no reply of the judge that can be read, such as question `q"), "{text}");
    assert_eq!(place.rows(&["m.yaml", "verdicts"]).len(), 1);
}

#[test]
fn votes_tie_and_a_second_judge_decides() {
    let votes = AtomicUsize::new(0);
    let server = Server::new(move |request, _| {
        let verdict = |word: &str| Answer::says(&json!({ "reason": "r", "verdict": word }).to_string());
        match (request.said().starts_with("Grade"), request.body["model"].as_str()) {
            (false, _) => Answer::says("x"),
            (true, Some("second")) => verdict("incorrect"),
            _ => verdict(["correct", "idk"][votes.fetch_add(1, Ordering::SeqCst) % 2]),
        }
    });
    let place = place("openai", &server.url(), 1, "");
    let manifest = fs::read_to_string(place.path("m.yaml")).unwrap();
    let judge = |with: &str| {
        let stage =
            "  verdicts: { uses: judge, in: { questions: questions, answers: answers }, with: { judge: llm, model: p/first";
        fs::write(place.path("m.yaml"), format!("{manifest}{stage}, votes: 2{with} }} }}\n")).unwrap();
        assert_eq!(run(&place).status.code(), Some(0));
        place.rows(&["m.yaml", "verdicts"])[0]["verdict"].clone()
    };
    assert_eq!(judge(""), "idk", "a tie decides nothing");
    assert_eq!(server.count(), 3);
    assert_eq!(judge(", second: p/second"), "incorrect");
    assert_eq!(server.count(), 4, "the votes are known");
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
