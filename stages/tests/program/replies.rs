//! What a reply is: reasoning in it, why it ended, bytes that are nearly JSON, and servers that take less than others.

use std::{fs, io::Write as _};

use serde_json::{Value, json};

use crate::{
    place::Place,
    providers::{err, failed, place, run},
    server::{Answer, Request, Server},
};

/// Replaces a part of the manifest.
fn change(place: &Place, was: &str, now: &str) {
    let manifest = fs::read_to_string(place.path("m.yaml")).unwrap();
    assert!(manifest.contains(was), "{was}: {manifest}");
    fs::write(place.path("m.yaml"), manifest.replace(was, now)).unwrap();
}

fn answers(place: &Place) -> Vec<Value> {
    place.rows(&["m.yaml", "answers"])
}

#[test]
fn reasoning_in_a_reply_is_kept_apart_and_one_that_is_cut_off_is_no_answer() {
    let server = Server::new(|request, _| {
        let said = request.said();
        let text = match request.body["max_tokens"].as_u64() {
            _ if said.contains("What is 0?") => "<think>It may be A.</think>\n\nB",
            _ if said.contains("What is 1?") => "It may be A.\n</think>\nB",
            Some(400) => "[THINK]It may be A.[/THINK]B",
            // A stop sequence ends the reply within its reasoning, and the server calls that whole.
            _ => "[THINK]It may be A. Or",
        };
        Answer::says(text)
    });
    let place = place("openai", &server.url(), 3, ", settings: { max_output_tokens: 100, stop: [\"Or\"] }");
    assert_eq!(run(&place).status.code(), Some(0));
    for (row, output) in answers(&place).iter().zip([5, 5, 10]) {
        assert_eq!(
            (&row["text"], &row["outcome"], &row["usage"]["output"]),
            (&json!("B"), &json!("ok"), &json!(output)),
            "{row}"
        );
    }
    assert_eq!(server.count(), 4, "the truncated one was asked for again, with more room");
    let tried: Value =
        serde_json::from_str(&place.good(&["try", "m.yaml", "answers", "--row", "q0", "--format", "json"])).unwrap();
    assert!(tried.to_string().contains("\"reasoning\":\"It may be A.\""), "{tried}");
}

#[test]
fn a_reply_that_was_kept_with_its_reasoning_gives_the_same_row() {
    let server = Server::new(|_, _| Answer::says("<think>It may be A.</think>B"));
    let place = place("openai", &server.url(), 2, "");
    place.good(&["run", "m.yaml", "questions"]);
    // What is imported is kept as it is, as all replies were once.
    fs::write(
        place.path("old.jsonl"),
        json!({ "id": "q0", "text": "<think>It may be A.</think>B", "input": 10, "output": 5 }).to_string(),
    )
    .unwrap();
    place.good(&["cache", "import", "old.jsonl", "--as", "p/m", "--manifest", "m.yaml"]);
    assert_eq!(run(&place).status.code(), Some(0));
    assert_eq!(server.count(), 1);
    let rows = answers(&place);
    assert_eq!((&rows[0]["text"], &rows[0]["outcome"]), (&json!("B"), &json!("ok")));
    for field in ["text", "outcome", "usage", "served"] {
        assert_eq!(rows[0][field], rows[1][field], "{field}");
    }
}

#[test]
fn why_a_model_stopped_says_what_the_reply_is() {
    let openai = |finish: &str| json!({ "choices": [{ "message": { "content": "x" }, "finish_reason": finish }] });
    let anthropic = |finish: &str| json!({ "content": [{ "type": "text", "text": "x" }], "stop_reason": finish, "usage": {} });
    let gemini = |finish: &str| json!({ "candidates": [{ "content": { "parts": [{ "text": "x" }] }, "finishReason": finish }] });
    for (kind, reply, outcome) in [
        ("openai", openai("stop"), "ok"),
        ("openai", openai("eos"), "ok"),
        ("openai", openai("max_tokens"), "truncated"),
        ("openai", openai("MAX_TOKENS"), "truncated"),
        ("openai", openai("SAFETY"), "blocked"),
        ("openai", openai("content_filter"), "blocked"),
        ("openai", openai("a_new_word"), "ok"),
        ("openai", openai("error"), "error"),
        ("anthropic", anthropic("end_turn"), "ok"),
        ("anthropic", anthropic("max_tokens"), "truncated"),
        ("anthropic", anthropic("refusal"), "refused"),
        ("gemini", gemini("STOP"), "ok"),
        ("gemini", gemini("MAX_TOKENS"), "truncated"),
        ("gemini", gemini("SAFETY"), "blocked"),
        ("gemini", gemini("A_NEW_WORD"), "blocked"),
        ("gemini", gemini("OTHER"), "empty"),
    ] {
        let is_new = reply.to_string().contains("a_new_word");
        let server = Server::new(move |_, _| Answer::json(200, &reply));
        let place = place(kind, &server.url(), 1, ", ask_again: { truncated: 0, empty: 0 }");
        let output = run(&place);
        assert_eq!(output.status.code(), Some(0), "{kind} {outcome}: {}", err(&output));
        let row = &answers(&place)[0];
        assert_eq!(row["outcome"], outcome, "{kind}: {row}");
        let asked = if outcome == "error" { 3 } else { 1 };
        assert_eq!(server.count(), asked, "{kind} {row}");
        assert_eq!(err(&output).contains("not known here"), is_new, "{}", err(&output));
    }
}

#[test]
fn an_error_beside_choices_is_an_error() {
    let server = Server::new(|_, index| {
        let error = json!({ "code": 502, "message": "upstream went away" });
        let mut reply = json!({ "choices": [{ "message": { "content": "half an" }, "finish_reason": "stop" }] });
        if index == 0 {
            reply["error"] = error;
        }
        Answer::json(200, &reply)
    });
    let place = place("openai", &server.url(), 1, "");
    assert_eq!(run(&place).status.code(), Some(0));
    assert_eq!(server.count(), 2, "the first one is no answer");
}

#[test]
fn a_reply_that_is_nearly_json_is_read_and_paid_for_once() {
    let whole = r#"{"id":"r","model":"m","choices":[{"message":{"content":"Paris"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":5}}"#;
    let gzip = |text: &str| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap()
    };
    let bad_byte: Vec<u8> = whole.replace("Paris", "Paris#").bytes().map(|byte| if byte == b'#' { 0xe2 } else { byte }).collect();
    for (name, body, headers, text) in [
        ("surrogate", whole.replace("Paris", "Paris \\ud83d").into_bytes(), "", "Paris \u{fffd}"),
        ("second half", whole.replace("Paris", "\\ude00Paris").into_bytes(), "", "\u{fffd}Paris"),
        ("byte", bad_byte, "", "Paris\u{fffd}"),
        ("mark", [&b"\xef\xbb\xbf"[..], whole.as_bytes()].concat(), "", "Paris"),
        ("NaN", whole.replace("\"id\":\"r\"", "\"id\":\"r\",\"score\":NaN,\"other\":-Infinity").into_bytes(), "", "Paris"),
        ("line", whole.replace("Paris", "Par\nis").into_bytes(), "", "Par\nis"),
        ("gzip", gzip(whole), "content-encoding: gzip\r\n", "Paris"),
        ("gzip without a word", gzip(whole), "", "Paris"),
    ] {
        let server = Server::new(move |_, _| Answer { headers: headers.to_owned(), ..Answer::raw(200, body.clone()) });
        let place = place("openai", &server.url(), 1, "");
        let output = run(&place);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", err(&output));
        let row = &answers(&place)[0];
        assert_eq!((&row["text"], &row["usage"]["input"]), (&json!(text), &json!(10)), "{name}: {row}");
        assert_eq!(server.count(), 1, "{name}");
        assert!(place.good(&["spent"]).contains("p/m"), "{name}");
    }
}

#[test]
fn a_wait_for_ever_ends_at_once_and_says_until_when() {
    let in_two_hours = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(2);
    let date = in_two_hours.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    for (header, said) in [
        ("retry-after: 3600".to_owned(), "60 min"),
        ("retry-after: 99999999999".to_owned(), "days"),
        ("retry-after: 1e300".to_owned(), "days"),
        (format!("retry-after: {date}"), "min"),
        ("retry-after-ms: 700000".to_owned(), "11 min"),
    ] {
        for status in [429, 503] {
            let headers = format!("{header}\r\n");
            let server = Server::new(move |_, _| Answer {
                headers: headers.clone(),
                ..Answer::json(status, &json!({ "error": { "message": "slow down" } }))
            });
            let place = place("openai", &server.url(), 3, "");
            let text = failed(&run(&place), 4);
            for word in [said, "slow down", "10 min is the longest wait", "longest_wait"] {
                assert!(text.contains(word), "{header}: no `{word}` in {text}");
            }
        }
    }
    // What the manifest allows is waited for.
    let server = Server::new(|_, index| match index {
        0 => Answer {
            headers: "retry-after: 2\r\n".to_owned(),
            ..Answer::json(429, &json!({ "error": { "message": "slow down" } }))
        },
        _ => Answer::says("x"),
    });
    let place = place("openai", &server.url(), 1, "");
    change(&place, "timeout: 20", "timeout: 20, longest_wait: 1");
    assert!(failed(&run(&place), 4).contains("it asks to wait for 2 s, and 1 s is the longest wait"));
    change(&place, "longest_wait: 1", "longest_wait: 3");
    assert_eq!(run(&place).status.code(), Some(0));
}

#[test]
fn a_manifest_says_what_a_server_takes() {
    let server = Server::new(|_, _| Answer::says("x"));
    let with = ", system: Be brief., settings: { temperature: 0.5, max_output_tokens: 99, extra: { top_k: 5 } }";
    let place = place("openai", &server.url(), 1, with);
    let provider = "timeout: 20, query: { api-version: 2024-10-21 }, extra: { chat_template_kwargs: { enable_thinking: false }, top_k: 1 }, \
                    takes: { max_completion_tokens: true, temperature: false, system_role: user }";
    change(&place, "timeout: 20", provider);
    let output = run(&place);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(err(&output).contains("takes no `temperature`"), "{}", err(&output));
    let request = &server.requests()[0];
    assert_eq!(request.path, "/chat/completions?api-version=2024-10-21");
    let asked = json!({
        "model": "m", "max_completion_tokens": 99, "chat_template_kwargs": { "enable_thinking": false }, "top_k": 5,
        "messages": [{ "role": "user", "content": "Be brief.\n\nWhat is 0?" }],
    });
    assert_eq!(request.body, asked);
    // Each of them decides what is answered, so another one is another call.
    change(&place, "enable_thinking: false", "enable_thinking: true");
    assert_eq!(run(&place).status.code(), Some(0));
    change(&place, "2024-10-21", "2025-01-01");
    assert_eq!(run(&place).status.code(), Some(0));
    change(&place, "system_role: user", "system_role: developer");
    assert_eq!(run(&place).status.code(), Some(0));
    assert_eq!(server.count(), 4);
    assert_eq!(server.requests()[3].body["messages"][0]["role"], "developer");
    let shown = place.good(&["try", "m.yaml", "answers", "--row", "q0"]);
    assert!(shown.contains("chat/completions?api-version=2025-01-01"), "{shown}");
}

#[test]
fn a_key_in_an_address_is_refused_before_anything_is_kept() {
    for (was, now, said) in [
        ("timeout: 20", "timeout: 20, query: { api-key: SECRETQ }", "no key in it"),
        ("timeout: 20", "timeout: 20, query: { key: SECRETQ }", "no key in it"),
        ("\", timeout", "/v1?key=SECRETQ\", timeout", "no key in it"),
        ("\", timeout", "/v1?api-version=1\", timeout", "query: { api-version"),
        ("\", timeout", "/v1#x\", timeout", "fragment"),
        ("timeout: 20", "timeout: 20, extra: { messages: [] }", "filled in by the program"),
        ("timeout: 20", "timeout: 20, takes: { colour: true }", "colour"),
        ("kind: openai", "kind: gemini, takes: { max_completion_tokens: true }", "one name for the cap"),
    ] {
        let place = place("openai", "http://127.0.0.1:1", 1, "");
        change(&place, was, now);
        for command in ["check", "run"] {
            let text = failed(&place.call(&[command, "m.yaml"]), 2);
            assert!(text.contains(said), "{now}: no `{said}` in {text}");
        }
        assert!(!place.path("runs").exists() && !place.path("cache").exists(), "{now}");
    }
}

/// A place in which a model judges a recorded answer and analyses the question.
fn judged(url: &str, json: &str) -> Place {
    let place = Place::new();
    let rows = (0..8).map(|number| {
        json!({ "id": format!("q{number}"), "question": format!("What is {number}?"), "gold": ["Paris"], "answers": { "m": { "text": "London" } } })
    });
    fs::write(place.path("a.jsonl"), rows.map(|row| row.to_string()).collect::<Vec<_>>().join("\n")).unwrap();
    let manifest = format!(
        "version: 1
providers: {{ replay: {{ kind: replay, file: a.jsonl }}, p: {{ kind: openai, base_url: \"{url}\"{json} }} }}
stages:
  questions: {{ uses: benchmark, with: {{ name: jsonl, path: a.jsonl }} }}
  answers: {{ uses: answer, in: {{ questions: questions }}, with: {{ models: {{ medium: replay/m }} }} }}
  verdicts: {{ uses: judge, in: {{ questions: questions, answers: answers }}, with: {{ judge: llm, model: p/m }} }}
  analyses: {{ uses: analyse, in: {{ questions: questions }}, with: {{ by: llm, model: p/m }} }}
"
    );
    fs::write(place.path("m.yaml"), manifest).unwrap();
    place
}

/// Returns a verdict to a judge's request, and an analysis to another.
fn object(request: &Request) -> Answer {
    Answer::says(if request.said().starts_with("Grade") {
        r#"{"reason": "x", "verdict": "incorrect"}"#
    } else {
        r#"{"domain": "d", "kind": "k", "steps": 1, "ambiguous": false, "reasoning": "r"}"#
    })
}

#[test]
fn a_server_without_schemas_is_asked_by_the_prompt_alone() {
    for (status, said) in [
        (400, json!({ "error": { "message": "This response_format type is unavailable", "code": "invalid_request_error" } })),
        (400, json!({ "error": { "message": "'response_format.type' must be 'text'" } })),
        (422, json!({ "detail": "extra fields not permitted" })),
        (404, json!({ "error": { "message": "No endpoints found that support structured outputs", "code": 404 } })),
        (500, json!({ "error": { "message": "failed to parse grammar" } })),
    ] {
        let server = Server::new(move |request, _| {
            if request.body["response_format"]["type"] == "json_schema" { Answer::json(status, &said) } else { object(request) }
        });
        let place = judged(&server.url(), "");
        let output = run(&place);
        assert_eq!(output.status.code(), Some(0), "{status}: {}", err(&output));
        assert!(err(&output).contains("`p/m` is asked without a JSON schema"), "{}", err(&output));
        assert_eq!(place.rows(&["m.yaml", "verdicts"]).len(), 8);
        assert!(place.rows(&["m.yaml", "analyses"]).iter().all(|row| row["reasoning"] == "r"));
        let with = server.requests().iter().filter(|request| request.body.get("response_format").is_some()).count();
        assert_eq!(server.count() - with, 16, "{status}: each was answered once");
        // What was answered without a schema is the answer to the same request.
        assert_eq!(place.call(&["run", "m.yaml", "--force", "verdicts", "--budget", "none"]).status.code(), Some(0));
        assert_eq!(server.count() - with, 16);
    }
}

#[test]
fn a_manifest_says_how_json_is_asked_for() {
    for (json, asked) in [
        (", json_schema: none", Value::Null),
        (", json_schema: object", json!("json_object")),
        (", json_schema: auto", json!("json_schema")),
    ] {
        let server = Server::new(|request, _| object(request));
        let place = judged(&server.url(), json);
        let output = run(&place);
        assert_eq!(output.status.code(), Some(0), "{json}: {}", err(&output));
        assert_eq!(server.count(), 16);
        assert!(server.requests().iter().all(|request| request.body["response_format"]["type"] == asked), "{json}");
    }
}

#[test]
fn a_key_with_a_dollar_is_sent_as_it_stands() {
    for (line, key) in [("MYK=sk-a$bc9", "sk-a$bc9"), ("MYK='a${HOME}b'", "a${HOME}b"), ("MYK=\"x$1\"", "x$1")] {
        let server = Server::new(|_, _| Answer::says("x"));
        let place = place("openai", &server.url(), 1, "");
        change(&place, "timeout: 20", "timeout: 20, api_key: { env: MYK }");
        fs::write(place.path(".env"), line).unwrap();
        assert_eq!(run(&place).status.code(), Some(0), "{line}");
        let sent = &server.requests()[0].raw;
        assert!(sent.contains(&format!("Bearer {key}\r\n")), "{sent}");
    }
}
