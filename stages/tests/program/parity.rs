//! The `debug` commands that read and write texts, against what transformers gives, where its figures are beside the repository.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::place::Place;

/// A folder or file of the figures, where it is there.
#[expect(clippy::print_stderr, reason = "a test says what it skips")]
fn fixture(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/parity/fixtures").join(name);
    if !path.exists() {
        eprintln!("skipped: `{name}` is not beside the repository");
        return None;
    }
    Some(path.canonicalize().unwrap())
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Calls a command that writes `out.json`.
fn answer(words: &[&str]) -> Value {
    let place = Place::new();
    let out = place.path("out.json");
    assert_eq!(place.good(&[&["debug"], words, &["--out", out.to_str().unwrap()]].concat()), "");
    read(&out)
}

/// Compares the fields that the figures have.
fn compare(what: &str, wanted: &Value, found: &Value, fields: &[&str]) {
    let (wanted, found) = (wanted.as_array().unwrap(), found.as_array().unwrap());
    assert!(!wanted.is_empty() && wanted.len() == found.len(), "{what}: {} of {}", found.len(), wanted.len());
    for (number, (wanted, found)) in wanted.iter().zip(found).enumerate() {
        for field in fields {
            match *field {
                // The words of an error are each program's own.
                "error" => assert_eq!(found.get("error").is_some(), wanted.get("error").is_some(), "{what} {number}: {found}"),
                field if wanted.get(field).is_some() => assert_eq!(found[field], wanted[field], "{what} {number}"),
                _ => {}
            }
        }
    }
}

#[test]
fn token_ids_and_texts_are_those_of_transformers() {
    for name in ["bytebpe", "bytebpe_bos", "spbpe", "spbpe_prefix"] {
        let Some(folder) = fixture(&format!("tokenizers/{name}")) else { return };
        let cases = folder.join("cases.json");
        let found = answer(&["tokenize", "--tokenizer", folder.to_str().unwrap(), "--input", cases.to_str().unwrap()]);
        let fields = ["ids", "ids_no_special", "decoded", "decoded_skip_special"];
        compare(name, &read(&cases)["cases"], &found["cases"], &fields);
    }
}

#[test]
fn rendered_conversations_are_those_of_transformers() {
    let (Some(input), Some(templates)) = (fixture("rendering.json"), fixture("templates")) else { return };
    let found = answer(&["render", "--input", input.to_str().unwrap(), "--templates", templates.to_str().unwrap()]);
    for kind in ["cases", "probes"] {
        compare(kind, &read(&input)[kind], &found[kind], &["text", "error"]);
    }
}

#[test]
fn the_assistants_tokens_are_those_of_transformers() {
    let files = ["assistant_masks.json", "templates", "rendering_tokenizer.json"].map(fixture);
    let [Some(input), Some(templates), Some(tokenizer)] = files else { return };
    let [input, templates, tokenizer] = [input, templates, tokenizer].map(|path| path.to_str().unwrap().to_owned());
    let found = answer(&["assistant-mask", "--input", &input, "--templates", &templates, "--tokenizer", &tokenizer]);
    compare("masks", &read(Path::new(&input))["cases"], &found["cases"], &["ids", "assistant_mask"]);
}

#[test]
fn learning_rates_are_those_of_transformers() {
    let Some(input) = fixture("schedules.json") else { return };
    let found = answer(&["schedule", "--input", input.to_str().unwrap()]);
    for (wanted, found) in read(&input)["cases"].as_array().unwrap().iter().zip(found["cases"].as_array().unwrap()) {
        let (highest, wanted_values) = (wanted["lr"].as_f64().unwrap(), wanted["values"].as_array().unwrap());
        assert_eq!(wanted_values.len(), found["values"].as_array().unwrap().len());
        for (step, (wanted_rate, rate)) in wanted_values.iter().zip(found["values"].as_array().unwrap()).enumerate() {
            let difference = (wanted_rate.as_f64().unwrap() - rate.as_f64().unwrap()).abs();
            assert!(difference <= 1e-9 * highest, "{} step {step}: {rate}", wanted["name"]);
        }
    }
}

#[test]
fn mistakes_in_the_files_of_a_command_are_told_with_their_place() {
    let place = Place::new();
    let told = |input: &Value| {
        std::fs::write(place.path("in.json"), input.to_string()).unwrap();
        let ended = place.call(&["debug", "schedule", "--input", "in.json", "--out", "out.json"]);
        assert_eq!(ended.status.code(), Some(2));
        String::from_utf8(ended.stderr).unwrap()
    };
    let case = |name: &str, args: Value| json!({ "cases": [{ "name": name, "lr": 1.0, "steps": 3, "args": args }] });
    let wrong = told(&case("linear", json!({ "power": 2 })));
    assert!(wrong.contains("`in.json`: case 0: `power` is not an argument of this scheduler"), "{wrong}");
    let unknown = told(&case("liniar", json!({})));
    assert!(unknown.contains("`in.json`: unknown variant `liniar`"), "{unknown}");
    let missing = place.call(&["debug", "tokenize", "--tokenizer", "none", "--input", "in.json", "--out", "out.json"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8(missing.stderr).unwrap().contains("`none`"));
    assert!(!place.good(&["--help"]).contains("debug"), "it is for comparisons, and hidden");
}
