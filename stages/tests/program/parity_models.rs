//! What transformers and PEFT compute on small models, held against what `debug` and `model merge` compute.
//!
//! The numbers are not in this repository: they are read from `../shared/parity/fixtures` beside it, and skipped by name where it is missing.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use safetensors::{SafeTensors, tensor::Dtype};
use serde_json::Value;

/// Allowed difference of logits in f32, and how often the reference's own rounding counts.
const ALLOWED: f32 = 3e-5;
const ROUNDING: f32 = 15.0;

fn fixtures(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/parity/fixtures").join(kind);
    let Ok(entries) = fs::read_dir(&folder) else {
        skipped(kind);
        return Vec::new();
    };
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

#[expect(clippy::print_stdout, reason = "a test that was not run must be seen")]
fn skipped(kind: &str) {
    println!("skipped: `../shared/parity/fixtures/{kind}` is not there");
}

fn json(path: &Path) -> Value {
    // Python writes a figure that is no number as no JSON has it.
    let text = fs::read_to_string(path).unwrap().replace(": NaN", ": null");
    serde_json::from_str(&text).unwrap()
}

fn run(words: &[&str], paths: &[&Path]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fingerpost"));
    let mut paths = paths.iter();
    for word in words {
        command.arg(word);
        if word.starts_with("--") {
            command.arg(paths.next().unwrap());
        }
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn values(bytes: &[u8], name: &str) -> Vec<f32> {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let tensor = file.tensor(name).unwrap();
    assert_eq!(tensor.dtype(), Dtype::F32);
    tensor.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// Holds one file of logits against the expected ones; what an attention mask hides does not count.
fn compare(case: &Path, found: &Path, noise: impl Fn(&str) -> f32) {
    let (expected, found) = (fs::read(case.join("expected_logits.safetensors")).unwrap(), fs::read(found).unwrap());
    for item in json(&case.join("ids.json"))["cases"].as_array().unwrap() {
        let name = item["name"].as_str().unwrap();
        let (expected, found) = (values(&expected, name), values(&found, name));
        assert_eq!(expected.len(), found.len(), "{}: {name}", case.display());
        let mask: Option<Vec<bool>> = item["attention_mask"]
            .as_array()
            .map(|rows| rows.iter().flat_map(|row| row.as_array().unwrap()).map(|entry| *entry == 1).collect());
        let places = mask.as_ref().map_or(1, Vec::len);
        let seen = |index: usize| mask.as_ref().is_none_or(|mask| mask[index / (expected.len() / places)]);
        let largest =
            expected.iter().enumerate().filter(|(index, _)| seen(*index)).map(|(_, value)| value.abs()).fold(0.0, f32::max);
        let allowed = ALLOWED.max(ROUNDING * noise(name)).max(2e-6 * largest);
        let pairs = expected.iter().zip(&found).enumerate().filter(|(index, _)| seen(*index));
        let worst = pairs.map(|(_, (expected, found))| (expected - found).abs()).fold(0.0, f32::max);
        assert!(worst <= allowed, "{}: {name}: off by {worst}, allowed {allowed}", case.display());
    }
}

fn logits(model: &Path, case: &Path, noise: impl Fn(&str) -> f32) {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("logits.safetensors");
    run(&["debug", "logits", "--model", "--input", "--out"], &[model, &case.join("ids.json"), &file]);
    compare(case, &file, noise);
}

#[test]
fn models_give_the_logits_and_the_greedy_tokens_of_transformers() {
    for case in fixtures("models") {
        let notes = json(&case.join("notes.json"));
        let noise = |name: &str| notes["float32_vs_float64"][name].as_f64().unwrap_or(0.0) as f32;
        logits(&case, &case, noise);
        if case.join("config.legacy.json").exists() {
            let twin = tempfile::tempdir().unwrap();
            for entry in fs::read_dir(&case).unwrap() {
                let entry = entry.unwrap();
                fs::copy(entry.path(), twin.path().join(entry.file_name())).unwrap();
            }
            fs::rename(twin.path().join("config.legacy.json"), twin.path().join("config.json")).unwrap();
            logits(twin.path(), &case, noise);
        }
        let file = case.join("generate.json");
        let out = tempfile::tempdir().unwrap();
        let answer = out.path().join("generated.json");
        run(&["debug", "generate", "--model", "--input", "--out"], &[&case, &file, &answer]);
        // Where two tokens are as good as equal, either may win.
        if json(&file)["smallest_top2_gap"].as_f64().unwrap() >= 1e-4 {
            assert_eq!(json(&answer)["generated"], json(&file)["expected"], "{}", case.display());
        }
    }
}

#[test]
fn adapters_give_the_logits_of_peft_on_and_merged() {
    for case in fixtures("adapters") {
        let config = json(&case.join("adapter_config.json"));
        let base = case.join(config["base_model_name_or_path"].as_str().unwrap());
        let merging = json(&case.join("notes.json"))["merged_max_diff"].as_f64().unwrap() as f32;
        let noise = |_: &str| 5e-6 + merging;
        let out = tempfile::tempdir().unwrap();
        let (file, merged) = (out.path().join("logits.safetensors"), out.path().join("merged"));
        let ids = case.join("ids.json");
        run(&["debug", "logits", "--model", "--adapter", "--input", "--out"], &[&base, &case, &ids, &file]);
        compare(&case, &file, noise);
        run(&["model", "merge", "--model", "--adapter", "--out"], &[&base, &case, &merged]);
        logits(&merged, &case, noise);
    }
}

#[test]
fn checkpoints_in_nf4_give_the_logits_of_their_dequantised_weights() {
    for case in fixtures("nf4") {
        logits(&case.join("quantised"), &case, |_| 1e-4 / ROUNDING);
    }
}

#[test]
fn matrices_get_the_codes_and_scales_of_bitsandbytes() {
    let Some(folder) = fixtures("nf4").first().map(|folder| folder.parent().unwrap().to_path_buf()) else { return };
    for item in json(&folder.join("cases.json"))["cases"].as_array().unwrap() {
        let case = folder.join(format!("{}.safetensors", item["id"].as_str().unwrap()));
        let out = tempfile::tempdir().unwrap();
        let answer = out.path().join("out.safetensors");
        let block = item["block"].to_string();
        run(&["debug", "nf4", "--input", "--block-size", "--out"], &[&case, Path::new(&block), &answer]);
        let (expected, found) = (fs::read(&case).unwrap(), fs::read(&answer).unwrap());
        for name in ["packed", "nested_absmax_codes"] {
            let bytes = |file: &[u8]| SafeTensors::deserialize(file).unwrap().tensor(name).unwrap().data().to_vec();
            let (expected, found) = (bytes(&expected), bytes(&found));
            // A value in the middle of two codes may fall either way.
            let differ = expected.iter().zip(&found).filter(|(expected, found)| expected != found).count();
            assert!(
                expected.len() == found.len() && differ <= 1.max(expected.len() / 500),
                "{}: {name}: {differ}",
                case.display()
            );
        }
        for name in ["absmax", "dequantised", "nested_absmax", "nested_offset", "absmax_from_nested", "dequantised_nested"] {
            let (expected, found) = (values(&expected, name), values(&found, name));
            let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
            let far =
                expected.iter().zip(&found).filter(|(expected, found)| (**expected - **found).abs() > 2e-6 * largest).count();
            assert!(expected.len() == found.len() && far * 500 <= expected.len(), "{}: {name}: {far}", case.display());
        }
    }
}

#[test]
fn candidates_get_the_log_probabilities_of_transformers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/parity/fixtures/scoring");
    let Ok(entries) = fs::read_dir(&folder) else {
        skipped("scoring");
        return;
    };
    for file in entries.map(|entry| entry.unwrap().path()) {
        let expected = json(&file);
        let out = tempfile::tempdir().unwrap();
        let answer = out.path().join("out.json");
        let model = folder.join(expected["model"].as_str().unwrap());
        run(&["debug", "score", "--model", "--input", "--out"], &[&model, &file, &answer]);
        let found = json(&answer);
        for (expected, found) in expected["rows"].as_array().unwrap().iter().zip(found["rows"].as_array().unwrap()) {
            assert_eq!(expected["best_by_sum"], found["best_by_sum"], "{}", file.display());
            let candidates = expected["candidates"].as_array().unwrap().iter().zip(found["candidates"].as_array().unwrap());
            for (expected, found) in candidates {
                assert_eq!(expected["ids"], found["ids"], "{}", file.display());
                let logprobs = |row: &Value| -> Vec<f64> {
                    row["token_logprobs"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
                };
                let close = |(left, right): (f64, f64)| (left - right).abs() < 5e-5;
                assert!(logprobs(expected).into_iter().zip(logprobs(found)).all(close), "{}", file.display());
            }
        }
    }
}
