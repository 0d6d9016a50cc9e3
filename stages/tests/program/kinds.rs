//! What `kinds` shows: an example of every kind, judge, provider and benchmark, each of which `check` takes.

use serde_json::Value;

use crate::place::Place;

/// Stages that examples are wired to, in the order in which they flow.
const STAGES: [(&str, &str); 8] = [
    ("questions", "{ uses: benchmark, with: { name: arithmetic, count: 300 } }"),
    ("answers", "{ uses: answer, in: { questions: questions }, with: { models: { medium: calculator/pocket } } }"),
    ("verdicts", "{ uses: judge, in: { questions: questions, answers: answers }, with: { judge: numeric } }"),
    ("analyses", "{ uses: analyse, in: { questions: questions } }"),
    ("labels", "{ uses: label, in: { verdicts: verdicts } }"),
    ("examples", "{ uses: prepare, in: { questions: questions, labels: labels, analyses: analyses } }"),
    ("sft", "{ uses: sft, in: { examples: examples.sft } }"),
    ("dpo", "{ uses: dpo, in: { examples: examples.dpo, checkpoint: sft.checkpoint } }"),
];

const ABOVE: &str = "version: 1
policies:
  Standard_Query: { model: medium, description: one }
  Complex_Query: { model: large, description: two }
  Ambiguous_Query: { model: medium, description: three }
";

/// Files that examples name; `check` does not read what is in them.
const FILES: [&str; 6] =
    ["questions.csv", "questions.jsonl", "questions.parquet", "answers.jsonl", "people.jsonl", "anatomy_test.csv"];

#[test]
fn every_example_is_right_and_is_shown() {
    let place = Place::new();
    for file in FILES {
        std::fs::write(place.path(file), "").unwrap();
    }
    std::fs::create_dir(place.path("qwen3-0.6b")).unwrap();
    std::fs::write(place.path("qwen3-0.6b/config.json"), "{}").unwrap();
    let document: Value = serde_json::from_str(&place.good(&["kinds", "--format", "json"])).unwrap();
    let named = |list: &str, name: &str| {
        let entries = document[list].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        entries.map(|entry| (text(&entry[name]), text(&entry["example"]))).collect::<Vec<_>>()
    };
    let (kinds, parts) = (named("kinds", "kind"), named("parts", "name"));
    assert!(kinds.len() >= 11 && parts.len() >= 24, "{kinds:?} {parts:?}");
    for (name, example) in kinds.iter().chain(&parts) {
        let mut manifest = format!("{ABOVE}{example}");
        for (stage, text) in STAGES {
            if !example.contains(&format!("\n  {stage}:")) {
                manifest += &format!("  {stage}: {text}\n");
            }
        }
        std::fs::write(place.path("m.yaml"), &manifest).unwrap();
        let output = place.call(&["check", "m.yaml"]);
        assert!(output.status.success(), "{name}: {}\n{manifest}", String::from_utf8_lossy(&output.stderr));
        let shown = place.good(&["kinds", name]);
        for line in example.lines() {
            assert!(shown.contains(&format!("  {line}\n")), "{name}: {line}\n{shown}");
        }
    }
}

#[test]
fn a_kind_is_explained_by_its_settings_and_a_wrong_name_by_the_nearest() {
    let place = Place::new();
    let shown = place.good(&["kinds", "judge"]);
    for told in [
        "judge: grades each answer",
        "  answers: dataset<answer>",
        "judge  ",
        "choice | contains | exact | f1 | llm | math | numeric | recorded | regex | squad; required",
        "missing.refused",
        "drop | idk | incorrect; default \"idk\"",
        "The least F1 with a gold answer that counts as right",
    ] {
        assert!(shown.contains(told), "{told}: {shown}");
    }
    assert!(!shown.contains("\"type\""), "no JSON Schema: {shown}");
    let list = place.good(&["kinds"]);
    assert!(list.contains("judges: choice, contains, exact, f1, llm, math") && list.contains("providers: anthropic"), "{list}");
    let output = place.call(&["kinds", "numerc"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && told.contains("did you mean `numeric`?"), "{told}");
}
