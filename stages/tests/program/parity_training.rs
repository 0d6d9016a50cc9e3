//! SFT and DPO, step by step, against what TRL gives, where its figures are beside the repository.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::place::Place;

/// What a figure may be off by: absolutely, and as a share of itself.
const ALLOWED: [(&str, f64, f64); 7] = [
    ("loss", 1e-4, 1e-5),
    ("grad_norm", 1e-4, 1e-3),
    ("learning_rate", 1e-12, 1e-9),
    ("mean_token_accuracy", 1e-6, 0.0),
    ("num_tokens", 0.5, 0.0),
    ("rewards/margins", 1e-4, 1e-4),
    ("rewards/accuracies", 1e-6, 0.0),
];

/// Runs whose products are of bfloat16 drift apart: how much more these may be off by, and what is not compared.
const HALF: f64 = 60.0;
const COUNTED: [&str; 2] = ["mean_token_accuracy", "rewards/accuracies"];

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).filter(|line| line.get("loss").is_some()).collect()
}

fn is_half(stage: &Value) -> bool {
    stage["precision"] == "bf16" || stage["quantization"]["adapter_dtype"] == "bfloat16"
}

/// Trains as a case's settings say, and tells what is off.
fn off(case: &Path) -> Vec<String> {
    let place = Place::new();
    let (stage, out) = (case.join("stage.json"), place.path("out"));
    let debug = ["debug", "train", "--stage", stage.to_str().unwrap(), "--out", out.to_str().unwrap()];
    place.good(&debug);
    let settings: Value = serde_json::from_slice(&fs::read(&stage).unwrap()).unwrap();
    let half = is_half(&settings);
    let (wanted, found) = (lines(&case.join("metrics.jsonl")), lines(&out.join("metrics.jsonl")));
    let mut off = Vec::new();
    if wanted.is_empty() || wanted.len() != found.len() {
        off.push(format!("{}: {} steps of {}", case.display(), found.len(), wanted.len()));
    }
    for (wanted, found) in wanted.iter().zip(&found) {
        for (name, absolute, relative) in ALLOWED {
            let Some(right) = wanted[name].as_f64().filter(|_| !(half && COUNTED.contains(&name))) else { continue };
            let allowed = (absolute + relative * right.abs()) * if half { HALF } else { 1.0 };
            let given = found[name].as_f64().unwrap_or(f64::NAN);
            if (given - right).abs() > allowed || given.is_nan() {
                off.push(format!("{}: step {}: {name} is {given}, not {right}", case.display(), wanted["step"]));
            }
        }
    }
    off
}

#[expect(clippy::print_stderr, reason = "a test says what it skips")]
fn every_run_of(method: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/parity/fixtures").join(method);
    if !folder.exists() {
        eprintln!("skipped: there are no figures of TRL for {method} beside the repository");
        return;
    }
    let folder = folder.canonicalize().unwrap();
    let mut cases: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() > 40, "{}", cases.len());
    let off: Vec<_> = cases.iter().flat_map(|case| off(case)).collect();
    assert!(off.is_empty(), "{}", off.join("\n"));
}

#[test]
fn fine_tuning_gives_every_figure_of_trl() {
    every_run_of("sft");
}

#[test]
fn preferences_give_every_figure_of_trl() {
    every_run_of("dpo");
}
