//! Servers that refuse, fail or are not there, and what is said of it.

use serde_json::json;

use crate::{
    providers::{failed, place, run, write_questions},
    server::{Answer, Server},
};

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
        ("not UTF-8", 200, b"\xff\xfe\x00\x01".to_vec(), &["not UTF-8"]),
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
