//! What calls cost: what is counted, what is only known at most, and how hard a budget is.

use std::{
    fs,
    process::Output,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    place::Place,
    providers::{failed, place, run, write_questions},
    server::{Answer, Server},
};

/// A chat completion with this usage.
fn used(usage: &Value) -> Answer {
    Answer::json(
        200,
        &json!({ "model": "m", "choices": [{ "message": { "content": "Paris" }, "finish_reason": "stop" }], "usage": usage }),
    )
}

/// A chat completion whose reasoning is not counted against the cap.
fn reasoned(thinking: u64) -> Answer {
    used(&json!({
        "prompt_tokens": 20, "completion_tokens": 50, "total_tokens": 70 + thinking,
        "completion_tokens_details": { "reasoning_tokens": thinking },
    }))
}

/// What is spent in nano-dollars, and the calls that may have been paid for.
fn spent(place: &Place) -> (u64, Value) {
    let spent: Value = serde_json::from_str(&place.good(&["spent", "--format", "json"])).unwrap();
    (spent["total"]["nano_dollars"].as_u64().unwrap(), spent["total"]["lost"].clone())
}

fn events(output: &Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The last event of this name.
fn event(events: &[Value], name: &str) -> Value {
    events.iter().rfind(|event| event["event"] == name).cloned().unwrap_or_else(|| panic!("{name} in {events:?}"))
}

const SETTINGS: &str = ", settings: { max_output_tokens: 100 }";

/// Changes a text in the place's manifest.
fn change(place: &Place, from: &str, to: &str) {
    let manifest = fs::read_to_string(place.path("m.yaml")).unwrap();
    assert!(manifest.contains(from), "{manifest}");
    fs::write(place.path("m.yaml"), manifest.replace(from, to)).unwrap();
}

#[test]
fn reasoning_beyond_the_cap_passes_a_budget_by_one_call_at_most() {
    // Dearer and dearer, or as it comes; a call should cost 240,000 nano-dollars at most.
    for (spread, cost) in [(0, 700), (4000, 300), (1, 30), (20, 9000)] {
        let server = Server::new(move |_, index| {
            std::thread::sleep(Duration::from_millis(15));
            reasoned(cost + (index as u64 * 7919) % (spread + 1))
        });
        let place = place("openai", &server.url(), 200, SETTINGS);
        change(&place, "timeout: 20", "timeout: 20, concurrency: 64");
        let output = place.call(&["run", "m.yaml", "--budget", "0.02"]);
        let text = failed(&output, 5);
        let (nano, _) = spent(&place);
        let one = 20_000 + 2 * 1000 * (50 + cost + spread);
        assert!(nano <= 20_000_000 + one, "{nano} of 20,000,000, with {spread} and {cost}: {text}");
        assert!(nano + 3 * one + 300_000 >= 20_000_000, "{nano}: it is used");
        if 50 + cost > 100 {
            assert_eq!(text.matches("more than its cap allows").count(), 1, "{text}");
        }
        // A later run has learnt it, and buys nothing that does not fit.
        let before = server.count();
        failed(&place.call(&["run", "m.yaml", "--budget", "0.0005"]), 5);
        assert!(server.count() - before <= 2, "{} more", server.count() - before);
    }
}

#[test]
fn a_budget_holds_what_is_sent_and_not_what_waits() {
    let under_way = std::sync::Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let seen = std::sync::Arc::clone(&under_way);
    let server = Server::new(move |_, _| {
        let now = seen.0.fetch_add(1, Ordering::SeqCst) + 1;
        seen.1.fetch_max(now, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(20));
        seen.0.fetch_sub(1, Ordering::SeqCst);
        used(&json!({ "prompt_tokens": 10, "completion_tokens": 100 }))
    });
    let place = place("openai", &server.url(), 60, SETTINGS);
    assert_eq!(place.call(&["run", "m.yaml", "--budget", "1"]).status.code(), Some(0));
    assert!(under_way.1.load(Ordering::SeqCst) > 8, "with room in the budget, calls run side by side");
    // 270 millionths a call at most, and what is held fits beside what is spent at any time.
    write_questions(&place, 100..160);
    under_way.1.store(0, Ordering::SeqCst);
    failed(&place.call(&["run", "m.yaml", "--budget", "0.0011"]), 5);
    let most = under_way.1.load(Ordering::SeqCst);
    assert!((1..=4).contains(&most), "{most} at once");
}

#[test]
fn a_reply_without_counts_is_estimated_and_marked() {
    let gemini = |usage: Value| {
        json!({ "candidates": [{ "content": { "parts": [{ "text": "Paris it is." }] }, "finishReason": "STOP" }],
            "usageMetadata": usage, "modelVersion": "m" })
    };
    let anthropic = json!({ "model": "m", "stop_reason": "end_turn", "content": [{ "type": "text", "text": "Paris it is." }] });
    let openai = |usage: Value| json!({ "model": "m", "choices": [{ "message": { "content": "Paris it is." }, "finish_reason": "stop" }], "usage": usage });
    for (kind, reply) in [
        ("gemini", gemini(json!({ "trafficType": "ON_DEMAND" }))),
        ("gemini", gemini(Value::Null)),
        ("anthropic", anthropic),
        ("openai", openai(Value::Null)),
        ("openai", openai(json!({ "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0 }))),
    ] {
        let server = Server::new(move |_, _| Answer::json(200, &reply));
        let place = place(kind, &server.url(), 1, SETTINGS);
        assert_eq!(run(&place).status.code(), Some(0));
        let usage = &place.rows(&["m.yaml", "answers"])[0]["usage"];
        assert_eq!(
            (&usage["estimated"], &usage["input"], &usage["output"]),
            (&json!(true), &json!(3), &json!(3)),
            "{kind}: {usage}"
        );
        assert_eq!(spent(&place).0, 3_000 + 2 * 3_000, "{kind}");
    }
}

#[test]
fn reasoning_beside_the_answer_is_paid_for() {
    for usage in [
        json!({ "prompt_tokens": 20, "completion_tokens": 300, "total_tokens": 1020, "completion_tokens_details": { "reasoning_tokens": 700 } }),
        json!({ "prompt_tokens": 20, "completion_tokens": 300, "total_tokens": 1020 }),
        json!({ "prompt_tokens": 20, "completion_tokens": 300, "reasoning_tokens": 700 }),
        json!({ "input_tokens": 20, "output_tokens": 1000, "output_tokens_details": { "reasoning_tokens": 700 } }),
    ] {
        let told = usage.clone();
        let server = Server::new(move |_, _| used(&told));
        let place = place("openai", &server.url(), 1, "");
        assert_eq!(run(&place).status.code(), Some(0));
        let row = &place.rows(&["m.yaml", "answers"])[0]["usage"];
        assert_eq!((&row["output"], &row["thinking"], row.get("estimated")), (&json!(300), &json!(700), None), "{usage}: {row}");
        assert_eq!(spent(&place).0, 20_000 + 2 * 1_000_000, "{usage}");
    }
}

#[test]
fn a_call_without_a_reply_is_in_the_account_as_unknown() {
    // What the server sends first, and whether that may have been paid for.
    type Sends = fn() -> Answer;
    let cases: [(Sends, bool); 7] = [
        (|| Answer::raw(200, "{\"choices\": [{\"message\": {\"content\": \"Pa"), true),
        (|| Answer::raw(200, "no JSON at all"), true),
        (|| Answer::raw(504, "upstream request timeout"), true),
        (
            || {
                std::thread::sleep(Duration::from_millis(1500));
                Answer::says("too late")
            },
            true,
        ),
        (|| Answer::json(500, &json!({ "error": { "message": "sorry", "usage": { "completion_tokens": 7 } } })), true),
        (|| Answer::json(503, &json!({ "error": { "message": "overloaded" } })), false),
        (|| Answer::json(429, &json!({ "error": { "message": "too fast" } })), false),
    ];
    for (number, (first, charged)) in cases.into_iter().enumerate() {
        let server = Server::new(move |_, index| if index == 0 { first() } else { Answer::says("Paris") });
        let place = place("openai", &server.url(), 1, SETTINGS);
        change(&place, "timeout: 20", "timeout: 1");
        let output = place.call(&["run", "m.yaml", "--budget", "1", "--format", "json"]);
        assert_eq!(output.status.code(), Some(0), "{number}");
        let lost = &event(&events(&output), "stage_finished")["spent"]["lost"];
        assert_eq!((lost["calls"].as_u64(), &spent(&place).1), (charged.then_some(1), lost), "{number}");
        assert_eq!(place.good(&["spent"]).contains("1 call without a reply: unknown, at most $0.00023"), charged, "{number}");
        assert_eq!(spent(&place).0, 20_000, "{number}: what is unknown is no part of what is known");
    }
}

#[test]
fn a_failed_stage_says_what_it_bought_and_what_it_may_have_bought() {
    let server = Server::new(|request, _| {
        if !request.said().starts_with("What is 7?") {
            return Answer::says("Paris");
        }
        std::thread::sleep(Duration::from_millis(300));
        Answer::raw(200, "never a reply")
    });
    let place = place("openai", &server.url(), 8, SETTINGS);
    let output = place.call(&["run", "m.yaml", "--budget", "1"]);
    let text = failed(&output, 4);
    let bought = "(paid for 7 calls, $0.00014; the replies are cached; 3 calls without a reply: unknown, at most $0.00";
    assert!(text.contains(bought), "{text}");
    assert!(text.contains("7 calls, $0.00014; 3 calls without a reply: unknown, at most"), "the summary: {text}");
    let output = place.call(&["run", "m.yaml", "--budget", "1", "--format", "json"]);
    let told = event(&events(&output), "stage_failed");
    assert_eq!((&told["calls"], &told["spent"]["lost"]["calls"]), (&json!(0), &json!(3)), "{told}");
    assert_eq!(event(&events(&output), "run_finished")["spent"], told["spent"]);
    assert_eq!(spent(&place).1["calls"], 6);
    // Of a model without a price, not even the most is known.
    change(&place, "p/m: {", "p/other: {");
    let text = failed(&run(&place), 4);
    assert!(text.contains("(3 calls without a reply, of unknown price)"), "{text}");
}

#[test]
fn tries_that_may_have_been_paid_for_fill_the_budget() {
    let server = Server::new(|_, _| Answer::raw(502, "bad gateway"));
    let place = place("openai", &server.url(), 1, SETTINGS);
    // Some 230 millionths a try: two fit.
    let text = failed(&place.call(&["run", "m.yaml", "--budget", "0.0005"]), 5);
    assert_eq!(server.count(), 2, "{text}");
    assert!(text.contains("calls without a reply may have cost at most $0.0004"), "{text}");
}

#[test]
fn a_trial_with_send_is_in_the_account() {
    let server = Server::new(|_, _| Answer::says("Paris"));
    let place = place("openai", &server.url(), 1, SETTINGS);
    place.good(&["run", "m.yaml", "questions"]);
    place.good(&["try", "m.yaml", "answers", "--row", "q0", "--send"]);
    assert_eq!(spent(&place).0, 20_000);
}
