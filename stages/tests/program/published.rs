//! Published files: those that lie beside the repository have their rows, and a file is fetched by its digest.

use std::path::Path;

use serde_json::json;

use crate::{
    benchmarks::{failure, questions},
    place::Place,
    server::{Answer, Server},
};

#[test]
#[expect(clippy::print_stderr, reason = "a test says what it skips")]
fn the_published_files_have_their_rows() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    for (name, path, count) in [
        ("simpleqa", "simpleqa/simple_qa_test_set.csv", 4326),
        ("natural_questions", "nq-open/NQ-open.dev.jsonl", 3610),
        ("natural_questions", "nq-open/NQ-open.efficientqa.dev.1.1.jsonl", 1800),
        ("mmlu", "mmlu/test", 14042),
        ("mmlu", "mmlu/dev", 285),
        ("mmlu", "mmlu/test/anatomy_test.csv", 135),
        ("truthfulqa", "truthfulqa/TruthfulQA.csv", 790),
        ("gsm8k", "gsm8k/train.jsonl", 7473),
        ("gsm8k", "gsm8k/test.jsonl", 1319),
        ("gsm8k", "gsm8k/test_socratic.jsonl", 1319),
    ] {
        let path = data.join(path);
        if !path.exists() {
            eprintln!("skipped: there is no `{}`", path.display());
            continue;
        }
        let place = Place::new();
        let (rows, said) = questions(&place, &json!({ "name": name, "path": path }));
        assert_eq!(rows.len(), count, "{name}");
        assert!(!said.contains("published"), "{said}");
        let choices = if name == "mmlu" { 4 } else { 0 };
        assert!(rows.iter().all(|row| row["choices"].as_array().map_or(0, Vec::len) == choices), "{name}");
        assert!(rows.iter().all(|row| !row["gold"].as_array().unwrap().is_empty()), "{name}");
    }
}

#[test]
fn a_file_is_fetched_once_and_has_to_be_the_one_that_is_pinned() {
    let text = "{\"id\": \"a\", \"question\": \"Who?\", \"gold\": \"Ann\"}\n";
    let server = Server::new(move |request, _| match request.path.as_str() {
        "/q.jsonl" => Answer::raw(200, text),
        "/moved.jsonl" => Answer { headers: "location: /q.jsonl\r\n".to_owned(), ..Answer::raw(302, "") },
        _ => Answer::raw(404, "nothing"),
    });
    let place = Place::new();
    let with = |path: &str, content: &str| {
        let digest = format!("blake3:{}", blake3::hash(content.as_bytes()).to_hex());
        json!({ "name": "jsonl", "fetch": { "address": format!("{}{path}", server.url()), "digest": digest } })
    };
    let (rows, _) = questions(&place, &with("/q.jsonl", text));
    assert_eq!((rows.len(), &rows[0]["question"]), (1, &json!("Who?")));
    assert_eq!(server.count(), 1);
    // The same content at another address, and the same with other params: it is there.
    questions(&place, &with("/moved.jsonl", text));
    let mut limited = with("/q.jsonl", text);
    limited["limit"] = json!(1);
    questions(&place, &limited);
    assert_eq!(server.count(), 1, "it was fetched again");
    let other = Place::new();
    let (rows, _) = questions(&other, &with("/moved.jsonl", text));
    assert_eq!((rows.len(), server.count()), (1, 3));
    let said = failure(&other, &with("/q.jsonl", "something else"), 1);
    assert!(said.contains("/q.jsonl is not the file whose digest is pinned, blake3:"), "{said}");
    let said = failure(&other, &with("/gone.jsonl", "x"), 4);
    assert!(said.contains("/gone.jsonl cannot be downloaded: the server answered 404"), "{said}");
    for (with, message) in [
        (json!({ "name": "mmlu", "fetch": true }), "no published file of `mmlu` has a digest that is known"),
        (
            json!({ "name": "gsm8k", "fetch": "dev.jsonl" }),
            "the files of `gsm8k` are test.jsonl, test_socratic.jsonl, train.jsonl",
        ),
        (json!({ "name": "arithmetic", "fetch": true }), "benchmark `arithmetic` reads no file"),
        (json!({ "name": "gsm8k", "fetch": true, "path": "manifest.yaml" }), "the file is both named and fetched"),
        (json!({ "name": "jsonl", "fetch": 3 }), "`true`, the name of a published file, or `{ address, digest }`"),
    ] {
        let said = failure(&other, &with, 2);
        assert!(said.contains(message), "{said}");
    }
}
