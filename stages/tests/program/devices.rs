//! A device that is not there is a mistake before anything runs, and of no weight where nothing would run on it.

use crate::place::Place;

const MANIFEST: &str = "version: 1
policies:
  Standard_Query: { model: medium, description: one }
  Complex_Query: { model: large, description: two }
  Ambiguous_Query: { model: medium, description: three }
providers:
  here: { kind: local, folder: ./folder, device: cuda:999 }
  other: { kind: local, folder: ./folder }
stages:
  questions: { uses: benchmark, with: { name: arithmetic, count: 4 } }
  answers: { uses: answer, in: { questions: questions }, with: { models: { medium: here/model, large: other/model } } }
  verdicts: { uses: judge, in: { questions: questions, answers: answers }, with: { judge: llm, model: here/model } }
  analyses: { uses: analyse, in: { questions: questions }, with: { by: llm, model: here/model } }
  labels: { uses: label, in: { verdicts: verdicts } }
  examples: { uses: prepare, in: { questions: questions, labels: labels, analyses: analyses } }
  sft: { uses: sft, in: { examples: examples.sft }, with: { device: cuda:999 } }
  dpo: { uses: dpo, in: { examples: examples.dpo, checkpoint: sft.checkpoint }, with: { device: cuda:999 } }
  evaluation:
    uses: evaluate
    in: { checkpoint: dpo.checkpoint, questions: questions, answers: answers, verdicts: verdicts, labels: labels }
    with: { device: cuda:999 }
";

#[test]
fn a_device_that_is_not_there_is_told_before_anything_runs() {
    let place = Place::new();
    std::fs::create_dir(place.path("folder")).unwrap();
    std::fs::write(place.path("folder/config.json"), "{}").unwrap();
    std::fs::write(place.path("manifest.yaml"), MANIFEST).unwrap();
    for command in ["check", "plan", "run"] {
        let output = place.call(&[command, "manifest.yaml", "--format", "json"]);
        assert_eq!(output.status.code(), Some(2), "{command}");
        let out = String::from_utf8(output.stdout).unwrap();
        let document: serde_json::Value = serde_json::from_str(&out).unwrap();
        let mistakes = document["mistakes"].as_array().unwrap();
        let text = |mistake: &serde_json::Value, field: &str| mistake[field].as_str().unwrap().to_owned();
        assert_eq!(mistakes.len(), 6, "{command}: {out}");
        for mistake in mistakes {
            assert!(text(mistake, "message").contains("`device: cuda:999`: "), "{mistake}");
            assert!(text(mistake, "help").contains("`device: cpu`"), "{mistake}");
            assert_eq!(mistake["code"], "not-here");
        }
        let lines: Vec<_> = mistakes.iter().map(|mistake| mistake["labels"][0]["line"].as_u64().unwrap()).collect();
        let expected = MANIFEST
            .lines()
            .enumerate()
            .filter(|(line, text)| *line > 9 && (text.contains("cuda:999") || text.contains("here/")));
        assert_eq!(lines, expected.map(|(line, _)| line as u64 + 1).collect::<Vec<_>>(), "{command}: {out}");
    }
    assert!(!place.path("runs").exists(), "nothing ran");
}

#[test]
fn what_is_known_needs_no_device() {
    let place = Place::new();
    let turn = |role: &str| format!(r#"[{{"role":"{role}","content":"one"}}]"#);
    let row = format!(r#"{{"id":"1","prompt":{},"completion":{}}}"#, turn("user"), turn("assistant"));
    std::fs::write(place.path("rows.jsonl"), row + "\n").unwrap();
    let manifest = "version: 1
policies: { Only: { model: medium, description: all } }
stages:
  sft:
    uses: sft
    in: { examples: ./rows.jsonl }
    with: { new: { hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1 }, epochs: 1, device: cuda:999 }
";
    std::fs::write(place.path("manifest.yaml"), manifest).unwrap();
    assert_eq!(place.call(&["run", "manifest.yaml"]).status.code(), Some(2));
    place.good(&["run", "manifest.yaml", "--set", "stages.sft.with.device=auto"]);
    assert_eq!(place.events(&["run", "manifest.yaml"])["sft"], "stage_cached");
    place.good(&["plan", "manifest.yaml", "--exit-code"]);
    place.good(&["show", "manifest.yaml", "sft.metrics"]);
    assert_eq!(place.call(&["run", "manifest.yaml", "--force", "sft"]).status.code(), Some(2));
}

#[test]
fn a_command_says_it_in_a_sentence() {
    let place = Place::new();
    std::fs::write(place.path("ids.json"), r#"{"cases":[{"name":"one","input_ids":[[1]]}]}"#).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_fingerpost"));
    command.args(["debug", "logits", "--model", ".", "--input", "ids.json", "--out", "out", "--device", "cuda:999"]);
    let output = command.current_dir(place.folder.path()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("error: `device: cuda:999`: ") && said.contains("`device: cpu`"), "{said}");
    assert!(said.lines().count() == 2 && !said.contains("panicked"), "{said}");
}
