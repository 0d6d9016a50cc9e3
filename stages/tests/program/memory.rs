//! What a model of a few hundred MB takes of memory in another process: its file and little more.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use fingerpost::{
    models::{Checkpoint, NewModel},
    tokenizer::{Pieces, Tokenizer},
};
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;
/// What the program takes besides weights: itself, a few rows of activations and logits, blocks of matrices in f32.
const BESIDES: u64 = 96 * MIB;

const VOCABULARY: usize = 24_000;
const HIDDEN: usize = 1024;
const MIDDLE: usize = 4096;
const LAYERS: usize = 4;
/// Values outside the layers, with the head that is tied.
const ENDS: u64 = (VOCABULARY * HIDDEN) as u64;

/// Names and shapes of the weights.
fn shapes() -> BTreeMap<String, Vec<usize>> {
    let mut shapes = BTreeMap::from([
        ("model.embed_tokens.weight".to_owned(), vec![VOCABULARY, HIDDEN]),
        ("model.norm.weight".to_owned(), vec![HIDDEN]),
    ]);
    for layer in 0..LAYERS {
        let parts: [(&str, Vec<usize>); 9] = [
            ("input_layernorm", vec![HIDDEN]),
            ("post_attention_layernorm", vec![HIDDEN]),
            ("self_attn.q_proj", vec![HIDDEN, HIDDEN]),
            ("self_attn.k_proj", vec![HIDDEN, HIDDEN]),
            ("self_attn.v_proj", vec![HIDDEN, HIDDEN]),
            ("self_attn.o_proj", vec![HIDDEN, HIDDEN]),
            ("mlp.gate_proj", vec![MIDDLE, HIDDEN]),
            ("mlp.up_proj", vec![MIDDLE, HIDDEN]),
            ("mlp.down_proj", vec![HIDDEN, MIDDLE]),
        ];
        shapes.extend(parts.map(|(name, shape)| (format!("model.layers.{layer}.{name}.weight"), shape)));
    }
    shapes
}

/// Writes a Llama in bfloat16 or float32 with its tokenizer; returns the length of its weights' file.
fn write_model(folder: &Path, bf16: bool) -> u64 {
    let texts = ["what is 3 plus 4", "Policy: One"].map(str::to_owned);
    let tokenizer = Tokenizer::train(texts.into_iter(), 300, Pieces::Elements).unwrap();
    let small = NewModel { hidden_size: 16, num_attention_heads: 2, num_key_value_heads: 2, ..NewModel::default() };
    Checkpoint::new(&small, tokenizer, 1).unwrap().save(folder).unwrap();
    let path = folder.join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for (key, value) in [
        ("vocab_size", VOCABULARY),
        ("hidden_size", HIDDEN),
        ("intermediate_size", MIDDLE),
        ("num_hidden_layers", LAYERS),
        ("num_attention_heads", 16),
        ("num_key_value_heads", 16),
        ("head_dim", HIDDEN / 16),
    ] {
        config[key] = json!(value);
    }
    std::fs::write(&path, config.to_string()).unwrap();

    let size = if bf16 { 2 } else { 4 };
    let mut header = serde_json::Map::new();
    let mut at = 0;
    for (name, shape) in shapes() {
        let end = at + shape.iter().product::<usize>() * size;
        let dtype = if bf16 { "BF16" } else { "F32" };
        header.insert(name, json!({ "dtype": dtype, "shape": shape, "data_offsets": [at, end] }));
        at = end;
    }
    let mut header = Value::Object(header).to_string();
    header += &" ".repeat(header.len().next_multiple_of(8) - header.len());
    let mut file = BufWriter::new(File::create(folder.join("model.safetensors")).unwrap());
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    let mut state = 1_u64;
    for _ in 0..at / size {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // About 0.01 to 0.03, either sign.
        let bits = (state >> 48) as u16 & 0x80ff | 0x3c00;
        let value = if bf16 { bits.to_le_bytes().to_vec() } else { (u32::from(bits) << 16).to_le_bytes().to_vec() };
        file.write_all(&value).unwrap();
    }
    file.into_inner().unwrap().metadata().unwrap().len()
}

/// Runs the program, which must succeed, and returns the most memory that it had at a time, as the kernel counts it.
fn peak(folder: &Path, words: &[&str]) -> u64 {
    let (peak, output) = watched(folder, words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    peak
}

/// Runs the program; returns its peak of memory and what it said.
fn watched(folder: &Path, words: &[&str]) -> (u64, Output) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_fingerpost"))
        .args(words)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
        peak = peak.max(1024 * most.unwrap_or(0_u64));
        std::thread::sleep(Duration::from_millis(1));
    }
    (peak, child.wait_with_output().unwrap())
}

/// Holds a peak to a bound, both in bytes.
fn within(found: u64, most: u64, what: &str) {
    assert!(found < most, "{what}: {} MiB, and {} are enough", found / MIB, most / MIB);
    // A peak that was not seen at all is no result.
    assert!(found > most / 4, "{what}: {} MiB is too little to be true", found / MIB);
}

/// Writes a training of two rows with an adapter, and with the base held as it says.
fn write_training(folder: &Path, quantization: Value) {
    let row = json!({ "input_ids": [5, 6, 7, 8], "labels": [-100, -100, 7, 8] }).to_string() + "\n";
    std::fs::write(folder.join("prepared.jsonl"), row.repeat(2)).unwrap();
    let message = |role: &str| json!([{ "role": role, "content": "3 plus 4" }]);
    let row = json!({ "prompt": message("user"), "completion": message("assistant") }).to_string() + "\n";
    std::fs::write(folder.join("rows.jsonl"), row.repeat(2)).unwrap();
    let stage = json!({
        "stage": "sft", "base_model": ".", "train_data": "rows.jsonl", "prepared": "prepared.jsonl", "max_steps": 1,
        "batch_size": 2, "adapter": { "r": 4, "target_modules": ["q_proj", "down_proj"] }, "quantization": quantization,
    });
    std::fs::write(folder.join("stage.json"), stage.to_string()).unwrap();
}

/// Says whether memory can be looked at, or that the test is skipped.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn is_counted() -> bool {
    let counted = Path::new("/proc/self/status").exists();
    if !counted {
        println!("skipped: memory is counted on Linux alone");
    }
    counted
}

#[test]
fn a_model_takes_the_memory_of_its_file() {
    if !is_counted() {
        return;
    }
    for bf16 in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let file = write_model(folder.path(), bf16);
        let input = json!({ "cases": [{ "name": "one", "input_ids": [[5, 6, 7, 8, 9, 10]], "logit_positions": [5] }] });
        std::fs::write(folder.path().join("ids.json"), input.to_string()).unwrap();
        let words = ["debug", "logits", "--model", ".", "--input", "ids.json", "--out", "logits.safetensors"];
        within(peak(folder.path(), &words), file + file / 10 + BESIDES, if bf16 { "bfloat16" } else { "float32" });
    }
}

/// A file without blocks on the disk that claims more than the machine has: it would take all memory to read, and is not read.
#[test]
fn what_does_not_fit_is_refused_before_it_is_loaded() {
    if !is_counted() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    write_model(folder.path(), true);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap();
    let total: u64 = memory.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024;
    // One row of the embedding more for each 4096 bytes.
    let vocabulary = (2 * total / (4 * HIDDEN as u64)) as usize;
    let path = folder.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config["vocab_size"] = json!(vocabulary);
    std::fs::write(&path, config.to_string()).unwrap();
    let (mut header, mut at) = (serde_json::Map::new(), 0);
    for (name, mut shape) in shapes() {
        if name == "model.embed_tokens.weight" {
            shape[0] = vocabulary;
        }
        let end = at + shape.iter().product::<usize>() * 4;
        header.insert(name, json!({ "dtype": "F32", "shape": shape, "data_offsets": [at, end] }));
        at = end;
    }
    let header = Value::Object(header).to_string();
    let mut file = File::create(folder.path().join("model.safetensors")).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len((8 + header.len() + at) as u64).unwrap();
    write_training(folder.path(), Value::Null);
    let (found, output) = watched(folder.path(), &["debug", "train", "--stage", "stage.json", "--out", "out"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("nothing but a smaller model"), "{said}");
    assert!(found > MIB && found < BESIDES / 2, "{} MiB for a refusal", found / MIB);
}

#[test]
fn a_model_is_put_into_4_bits_without_being_held_in_16() {
    if !is_counted() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = write_model(folder.path(), true);
    let held = json!({ "type": "nf4", "double_quant": true, "compute_dtype": "float32", "adapter_dtype": "float32" });
    write_training(folder.path(), held);
    let found = peak(folder.path(), &["debug", "train", "--stage", "stage.json", "--out", "out"]);
    // Both ends in 16 bits, and what is left in 4 with a byte for each 64 values.
    let layers = file / 2 - ENDS;
    within(found, 2 * ENDS + layers / 2 + layers / 64 + BESIDES, "4 bits");
}
