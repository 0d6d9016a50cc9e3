//! Logs that other programs wrote, as recorded answers and back. The files in `tests/logs` are what inspect-ai 0.3, lm-evaluation-harness
//! 0.4, promptfoo 0.1 and the recorder of `openai/evals` 3.0 wrote of two or three questions.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::place::Place;

fn log(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logs").join(name)
}

const QUESTIONS: [(&str, &str, &str); 3] = [
    ("q1", "What is the capital of France?", "Paris"),
    ("q2", "How many legs has a spider?", "eight"),
    ("q3", "Name a prime below 3.", "2"),
];

/// A place with questions and a manifest that takes answers and verdicts from a log. `prefix` stands before the questions' ids.
fn place(file: &Path, model: &str, count: usize, prefix: &str) -> Place {
    let place = Place::new();
    let row = |(id, question, gold): &(&str, &str, &str)| {
        json!({ "id": format!("{prefix}{id}"), "question": question, "gold": gold }).to_string()
    };
    let rows: Vec<_> = QUESTIONS.iter().take(count).map(row).collect();
    std::fs::write(place.path("q.jsonl"), rows.join("\n")).unwrap();
    let manifest = json!({ "version": 1, "providers": { "replay": { "kind": "replay", "file": file } }, "stages": {
        "questions": { "uses": "benchmark", "with": { "name": "jsonl", "path": "./q.jsonl" } },
        "answers": { "uses": "answer", "in": { "questions": "questions" }, "with": { "models": { "medium": format!("replay/{model}") } } },
        "verdicts": { "uses": "judge", "in": { "questions": "questions", "answers": "answers" },
            "with": { "judge": "recorded", "file": file } },
    } });
    std::fs::write(place.path("m.yaml"), manifest.to_string()).unwrap();
    place
}

#[test]
fn logs_of_other_programs_are_recordings() {
    for (name, model, count, prefix, texts, verdicts) in [
        (
            "inspect.eval",
            "mockllm/model",
            3,
            "",
            json!(["The capital is Paris", "Six", "The answer is"]),
            json!(["correct", "incorrect"]),
        ),
        // Ids that differ are no matter where the texts of the questions are the same.
        (
            "inspect.eval",
            "model",
            3,
            "other-",
            json!(["The capital is Paris", "Six", "The answer is"]),
            json!(["correct", "incorrect"]),
        ),
        ("lm-eval.jsonl", "anything", 2, "", json!(["lol", "lol"]), json!(["correct", "incorrect"])),
        (
            "promptfoo.json",
            "parrot",
            2,
            "",
            json!(["Answer: What is the capital of France?", "Answer: How many legs has a spider?"]),
            json!(["correct", "incorrect"]),
        ),
        (
            "promptfoo.jsonl",
            "parrot",
            2,
            "",
            json!(["Answer: What is the capital of France?", "Answer: How many legs has a spider?"]),
            json!(["correct", "incorrect"]),
        ),
        ("openai-evals.jsonl", "gpt-4o-mini", 2, "", json!(["Paris", "Six"]), json!(["correct", "incorrect"])),
    ] {
        let place = place(&log(name), model, count, prefix);
        place.good(&["run", "m.yaml"]);
        let answers = place.rows(&["m.yaml", "answers"]);
        assert_eq!(answers.iter().map(|row| row["text"].clone()).collect::<Value>(), texts, "{name}");
        let judged = place.rows(&["m.yaml", "verdicts"]);
        let judged: Value = judged.iter().take(2).map(|row| row["verdict"].clone()).collect();
        assert_eq!(judged, verdicts, "{name}");
        if name == "inspect.eval" {
            let usage = json!({ "input": 15, "output": 3, "thinking": 2, "cached": 3 });
            assert_eq!(answers[0]["usage"], usage, "{name}");
            assert_eq!((&answers[1]["outcome"], &answers[2]["outcome"]), (&json!("ok"), &json!("truncated")), "{name}");
        }
    }
}

#[test]
fn a_log_becomes_lines_that_are_imported() {
    let place = Place::new();
    for (name, model, count) in [
        ("inspect.eval", "model", 3),
        ("lm-eval.jsonl", "m", 2),
        ("promptfoo.json", "parrot", 2),
        ("openai-evals.jsonl", "gpt-4o-mini", 2),
    ] {
        let place = self::place(&log("lm-eval.jsonl"), "m", 3, "");
        let lines = place.good(&["recording", log(name).to_str().unwrap()]);
        assert_eq!(lines.lines().count(), count, "{name}: {lines}");
        std::fs::write(place.path("a.jsonl"), &lines).unwrap();
        let manifest = json!({ "version": 1, "providers": { "p": { "kind": "openai", "base_url": "http://127.0.0.1:9/v1" } }, "stages": {
            "questions": { "uses": "benchmark", "with": { "name": "jsonl", "path": "./q.jsonl", "limit": 2 } },
            "answers": { "uses": "answer", "in": { "questions": "questions" }, "with": { "models": { "medium": format!("p/{model}") } } },
        } });
        std::fs::write(place.path("i.yaml"), manifest.to_string()).unwrap();
        place.good(&["run", "i.yaml", "questions"]);
        let said = place.good(&["cache", "import", "a.jsonl", "--as", &format!("p/{model}"), "--manifest", "i.yaml"]);
        let unmatched = if count == 3 { "; 1 line matched no call of the manifest, the first of them line 3" } else { "" };
        assert_eq!(said, format!("imported 2 replies, 0 already present{unmatched}\n"), "{name}");
        place.good(&["run", "i.yaml"]);
    }
    std::fs::write(place.path("cut.eval"), &std::fs::read(log("inspect.eval")).unwrap()[..4000]).unwrap();
    let output = place.command(&["recording", "cut.eval"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("`cut.eval`: "), "{said}");
}

#[test]
fn an_import_keeps_outcomes_and_counts_what_matches_nothing() {
    let place = Place::new();
    std::fs::write(place.path("q.jsonl"), "{\"id\":\"q0\",\"question\":\"Capital of France?\",\"gold\":\"Paris\"}\n").unwrap();
    let manifest = json!({ "version": 1, "providers": { "p": { "kind": "openai", "base_url": "http://127.0.0.1:9/v1" } }, "stages": {
        "questions": { "uses": "benchmark", "with": { "name": "jsonl", "path": "./q.jsonl" } },
        "answers": { "uses": "answer", "in": { "questions": "questions" }, "with": { "models": { "medium": "p/m" } } },
    } });
    std::fs::write(place.path("m.yaml"), manifest.to_string()).unwrap();
    let answers =
        "{\"id\":\"q0\",\"text\":\"Par\",\"finish\":\"length\",\"outcome\":\"truncated\"}\n{\"id\":\"nobody\",\"text\":\"x\"}\n";
    std::fs::write(place.path("a.jsonl"), answers).unwrap();
    place.good(&["run", "m.yaml", "questions"]);
    let import = ["cache", "import", "a.jsonl", "--as", "p/m", "--manifest", "m.yaml"];
    let said = place.good(&import);
    assert_eq!(said, "imported 1 reply, 0 already present; 1 line matched no call of the manifest, the first of them line 2\n");
    let told: Value = serde_json::from_str(&place.good(&[&import[..], &["--format", "json"]].concat())).unwrap();
    assert_eq!((&told["known"], &told["unmatched"]), (&json!(1), &json!([2])));
    place.good(&["run", "m.yaml"]);
    let rows = place.rows(&["m.yaml", "answers"]);
    assert_eq!((&rows[0]["outcome"], &rows[0]["text"]), (&json!("truncated"), &json!("Par")));
    std::fs::write(place.path("a.jsonl"), "{\"id\":\"q0\",\"text\":\"a\"}\n\n{\"id\":\"q0\",\"text\":\"b\"}\n").unwrap();
    let said = String::from_utf8(place.call(&import).stderr).unwrap();
    assert!(said.contains("`a.jsonl`, line 3: a second answer to `q0`; it differs from the first, line 1"), "{said}");
}

#[test]
fn one_id_twice_is_refused_with_both_lines() {
    let run = |lines: &str, model: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), lines).unwrap();
        let place = place(file.path(), model, 1, "");
        (place.call(&["run", "m.yaml"]).status.code(), String::from_utf8(place.call(&["run", "m.yaml"]).stderr).unwrap())
    };
    let first = "{\"id\":\"q1\",\"answers\":{\"m\":{\"text\":\"first\",\"verdict\":\"correct\"}}}\n";
    let (code, said) = run(&format!("{first}\n{}", first.replace("first", "second")), "m");
    assert_eq!(code, Some(1));
    assert!(said.contains("line 3: a second answer of `m` to `q1`; it differs from the first, line 1"), "{said}");
    let (code, said) = run(&format!("{first}{}", first.replace("correct", "idk")), "m");
    assert_eq!(code, Some(1));
    assert!(said.contains("line 2: a second verdict on `m` to `q1`; it differs from the first, line 1"), "{said}");
    // The same line twice, or other models on other lines, leave nothing open.
    let (code, said) = run(&format!("{first}{first}{}", first.replace("\"m\"", "\"n\"").replace("first", "other")), "m");
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn exports_for_other_programs_are_read_again() {
    let place = place(&log("inspect.eval"), "mockllm/model", 3, "");
    place.good(&["run", "m.yaml"]);
    let answers = place.rows(&["m.yaml", "answers"]);
    for (format, file, model) in [("inspect", "medium.json", "replay/mockllm/model"), ("lm-eval", "samples_medium.jsonl", "m")] {
        place.good(&["export", "m.yaml", "verdicts", format, "--as", format]);
        let again = self::place(&place.path(format).join(file), model, 3, "");
        // The form of lm-evaluation-harness has no place for an answer that was cut off, so it has no verdict on one either.
        again.good(if format == "inspect" { &["run", "m.yaml"][..] } else { &["run", "m.yaml", "answers"] });
        let read = again.rows(&["m.yaml", "answers"]);
        for (one, other) in answers.iter().zip(&read) {
            assert_eq!(one["text"], other["text"], "{format}");
            if format == "inspect" {
                assert_eq!((&one["outcome"], &one["usage"]), (&other["outcome"], &other["usage"]));
            }
        }
    }
    for (words, message) in [
        (["export", "m.yaml", "verdicts", "x", "--as", "helm"], "there is no format `helm`"),
        (["export", "m.yaml", "questions", "x", "--as", "inspect"], "`inspect` takes rows of type `answer`"),
        (["export", "m.yaml", "verdicts", "-", "--as", "inspect"], "`--as` writes a folder"),
    ] {
        let output = place.call(&words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(message), "{said}");
    }
}
