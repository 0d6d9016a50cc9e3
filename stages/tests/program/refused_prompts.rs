//! Prompts that a provider refuses: one row stops no other, and what concerns all of them stops at once.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::{Value, json};

use crate::{
    place::Place,
    providers::{err, failed, place, run},
    server::{Answer, Server},
};

fn answers(place: &Place) -> Vec<Value> {
    place.rows(&["m.yaml", "answers"])
}

/// A server that answers question 5 in this way, as long as `refuses` says so, and all others with `x`.
fn server(refuses: &Arc<AtomicBool>, status: u16, body: Value) -> Server {
    let refuses = Arc::clone(refuses);
    Server::new(move |request, _| {
        let is_five = request.body.to_string().contains("What is 5?");
        if is_five && refuses.load(Ordering::Relaxed) { Answer::json(status, &body) } else { Answer::says("x") }
    })
}

#[test]
fn one_refused_prompt_is_marked_with_the_providers_words_and_asked_again_on_demand() {
    for (status, body, said) in [
        (
            400,
            json!({ "error": { "message": "Invalid prompt: flagged by our usage policy.", "code": "invalid_prompt" } }),
            "flagged",
        ),
        (
            403,
            json!({ "error": { "message": "m requires moderation. Your input was flagged", "code": 403 } }),
            "requires moderation",
        ),
        (400, json!({ "error": { "message": "maximum context length is 4096", "code": "context_length_exceeded" } }), "4096"),
        (
            400,
            json!({ "error": { "message": "the request exceeds the available context size", "type": "exceed_context_size_error", "code": 400 } }),
            "available context size",
        ),
        (
            400,
            json!({ "code": "DataInspectionFailed", "message": "Input data may contain inappropriate content." }),
            "inappropriate",
        ),
        (422, json!({ "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096" }), "4096"),
        (200, json!({ "error": { "message": "Content Exists Risk", "code": 400 } }), "Content Exists Risk"),
        // Words that nobody knows are about the prompt if the other prompts are answered.
        (400, json!({ "error": { "message": "E-4711: this cannot be served", "code": "e4711" } }), "E-4711"),
    ] {
        let refuses = Arc::new(AtomicBool::new(true));
        let server = server(&refuses, status, body);
        let place = place("openai", &server.url(), 12, "");
        let output = run(&place);
        assert_eq!(output.status.code(), Some(0), "{said}: {}", err(&output));
        assert!(err(&output).contains("1 of 12 answers are errors"), "{}", err(&output));
        let rows = answers(&place);
        assert_eq!((&rows[5]["outcome"], &rows[5]["text"]), (&json!("error"), &Value::Null), "{}", rows[5]);
        assert!(rows[5]["error"].as_str().unwrap().contains(said), "{}", rows[5]);
        assert_eq!(rows.iter().filter(|row| row["outcome"] == "ok").count(), 11);
        let asked = server.count();
        assert!(asked == 12 || asked <= 14 && said == "E-4711", "{said}: {asked}");
        assert_eq!(run(&place).status.code(), Some(0));
        assert_eq!(server.count(), asked, "the stage is cached, with the mark");
        // The refusal is not kept as a reply: it is asked for again wherever the stage runs again.
        let retry = ["run", "m.yaml", "--budget", "none", "--retry-errors"];
        assert_eq!(place.call(&retry).status.code(), Some(0));
        assert_eq!((server.count(), &answers(&place)[5]["outcome"]), (asked + 1, &json!("error")), "{said}");
        refuses.store(false, Ordering::Relaxed);
        assert!(place.good(&["plan", "m.yaml", "--retry-errors"]).contains("1 call"));
        assert_eq!(place.call(&retry).status.code(), Some(0));
        assert_eq!((server.count(), &answers(&place)[5]["outcome"]), (asked + 2, &json!("ok")), "{said}");
        assert_eq!(place.call(&retry).status.code(), Some(0));
        assert_eq!(server.count(), asked + 2, "nothing is left to ask again");
    }
}

#[test]
fn a_manifest_says_how_many_prompts_may_be_refused() {
    let body = json!({ "error": { "message": "flagged as violating our policy", "code": "invalid_prompt" } });
    let refused =
        |request: &crate::server::Request| ["is 3?", "is 5?"].iter().any(|name| request.body.to_string().contains(name));
    for (with, code) in [
        ("", 4),
        (", on_error: stop", 4),
        (", max_errors: 1", 4),
        (", max_errors: 0", 4),
        (", max_errors: 0.1", 4),
        (", max_errors: 2", 0),
        (", max_errors: 0.2", 0),
        (", max_errors: \"17%\"", 0),
        (", on_error: stop, max_errors: 9", 4),
    ] {
        let body = body.clone();
        let server = Server::new(move |request, _| if refused(request) { Answer::json(400, &body) } else { Answer::says("x") });
        let place = place("openai", &server.url(), 12, with);
        let output = run(&place);
        assert_eq!(output.status.code(), Some(code), "{with}: {}", err(&output));
        if code == 4 {
            for word in ["flagged as violating our policy", "question `q", "max_errors"] {
                assert!(err(&output).contains(word), "{with}: no `{word}` in {}", err(&output));
            }
        }
    }
    let place = place("openai", "http://127.0.0.1:1", 1, ", max_errors: 2.5");
    assert!(failed(&place.call(&["check", "m.yaml"]), 2).contains("a share of them"));
}

#[test]
fn a_prompt_without_an_answer_for_ever_is_marked() {
    for (kind, body) in [
        ("gemini", json!({ "usageMetadata": { "promptTokenCount": 7 }, "modelVersion": "m" })),
        ("gemini", json!({ "candidates": [], "responseId": "r" })),
        ("openai", json!({ "id": "r", "choices": [], "usage": { "prompt_tokens": 7 } })),
        ("anthropic", json!({ "id": "r", "type": "message", "stop_reason": "end_turn", "usage": {} })),
    ] {
        let answer = match kind {
            "gemini" => json!({ "candidates": [{ "content": { "parts": [{ "text": "x" }] }, "finishReason": "STOP" }] }),
            "openai" => json!({ "choices": [{ "message": { "content": "x" }, "finish_reason": "stop" }] }),
            _ => json!({ "content": [{ "type": "text", "text": "x" }], "stop_reason": "end_turn" }),
        };
        let server = Server::new(move |request, _| {
            Answer::json(200, if request.body.to_string().contains("What is 5?") { &body } else { &answer })
        });
        let place = place(kind, &server.url(), 8, "");
        let output = run(&place);
        assert_eq!(output.status.code(), Some(0), "{kind}: {}", err(&output));
        let row = &answers(&place)[5];
        assert_eq!(row["outcome"], "error", "{kind}");
        assert!(row["error"].as_str().unwrap().contains("gave no answer"), "{kind}: {row}");
        assert_eq!(server.count(), 7 + 3, "{kind}: it was tried three times");
    }
}

#[test]
fn what_concerns_all_prompts_stops_at_once() {
    for (status, said) in [
        (401, "Incorrect API key provided"),
        (403, "Your account has been flagged for a violation of our usage policies"),
        (404, "The model `m` does not exist"),
        (402, "Insufficient credits"),
    ] {
        let refuses = Arc::new(AtomicBool::new(true));
        let server = server(&refuses, status, json!({ "error": { "message": said } }));
        let place = place("openai", &server.url(), 12, ", max_errors: 12");
        assert!(failed(&run(&place), 4).contains(said));
    }
}

#[test]
fn judge_label_and_prepare_treat_an_error_by_one_rule() {
    let refuses = Arc::new(AtomicBool::new(true));
    let body = json!({ "error": { "message": "maximum context length is 4096", "code": "context_length_exceeded" } });
    let server = server(&refuses, 400, body);
    for (missing, verdicts, labels) in
        [("", 11, 11), (", missing: { error: incorrect }", 12, 12), (", missing: { error: idk }", 12, 12)]
    {
        let place = place("openai", &server.url(), 12, "");
        let manifest = fs::read_to_string(place.path("m.yaml")).unwrap();
        let more = format!(
            "  verdicts: {{ uses: judge, in: {{ questions: questions, answers: answers }}, with: {{ judge: exact{missing} }} }}
  labels: {{ uses: label, in: {{ verdicts: verdicts }}, with: {{ matrix: {{ correct: Easy, incorrect: Hard, idk: Hard }} }} }}
policies:
  Easy: {{ model: medium, description: simple questions }}
  Hard: {{ model: medium, description: difficult questions }}
"
        );
        fs::write(place.path("m.yaml"), manifest + &more).unwrap();
        for _ in 0..2 {
            let output = run(&place);
            assert_eq!(output.status.code(), Some(0), "{missing}: {}", err(&output));
        }
        let told = place.call(&["run", "m.yaml", "--budget", "none", "--force", "verdicts"]);
        assert!(err(&told).contains("1 of 12 answers") && err(&told).contains("1 error"), "{}", err(&told));
        assert_eq!(place.rows(&["m.yaml", "verdicts"]).len(), verdicts, "{missing}");
        assert_eq!(place.rows(&["m.yaml", "labels"]).len(), labels, "{missing}");
        if let Some(five) = place.rows(&["m.yaml", "verdicts"]).iter().find(|row| row["id"] == "q5") {
            assert!(five["reason"].as_str().unwrap().contains("refused the prompt"), "{five}");
        }
    }
}
