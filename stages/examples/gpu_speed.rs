//! Measures training on a device: gemma-2b's shapes with random weights, an adapter on all projections, rows of packed documents.
//!
//! ```text
//! cargo run --release --features cuda --example gpu_speed -- cuda lora 8 1024 10
//! cargo run --release --features cuda --example gpu_speed -- cuda qlora 1 512 5
//! ```
//!
//! Device, `lora` (bf16) or `qlora` (NF4 with double quantisation, checkpointing), rows of a step, tokens of a row, steps. `small` in the
//! place of the mode takes a model of the same kind that any machine has room for.
//! One JSON line comes out. Flops are counted as 4 a token and parameter (`LoRA`: forward 2, backward 2 without weight gradients); the
//! share is that of `PEAK_TFLOPS` in the environment [default: 989, an H100's dense bf16].
#![expect(clippy::disallowed_methods, reason = "a test program is told what to do by variables")]

use std::{error::Error, time::Instant};

use burn::tensor::{DType, Device};
use fingerpost::{
    models::{AdapterConfig, DeviceName, Model, Modules},
    train::{
        self, Step, Stop, TrainingRun, Watch,
        prepared::Prepared,
        settings::{Precision, Settings, Training},
        sft::{Sft, SftRow},
    },
};
use serde_json::{Map, Value, json};

/// Steps before the clock counts: kernels are compiled in them.
const SKIPPED: usize = 3;

/// Documents of a row.
const DOCUMENTS: usize = 4;

/// gemma-2b's `config.json`, or one of the same kind in small.
fn config(small: bool) -> Map<String, Value> {
    let [vocab_size, hidden_size, intermediate_size, layers, heads, head_dim] =
        if small { [2048, 128, 512, 4, 4, 32] } else { [256_000, 2048, 16_384, 18, 8, 256] };
    let config = json!({
        "model_type": "gemma", "vocab_size": vocab_size, "hidden_size": hidden_size, "intermediate_size": intermediate_size,
        "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": 1, "head_dim": head_dim,
        "hidden_act": "gelu", "max_position_embeddings": 8192, "rms_norm_eps": 1e-6, "rope_theta": 10_000.0,
        "tie_word_embeddings": true, "attention_bias": false,
    });
    config.as_object().cloned().unwrap_or_default()
}

/// Packed rows of tokens that mean nothing; all but each document's first are learned.
fn rows(count: usize, width: usize, vocabulary: u64) -> Prepared<SftRow> {
    let mut state = 7_u64;
    let mut token = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % vocabulary) as u32
    };
    let row = |_| {
        let input_ids: Vec<u32> = (0..width).map(|_| token()).collect();
        let labels = input_ids.iter().map(|&id| i64::from(id)).collect();
        let mut lengths = vec![width / DOCUMENTS; DOCUMENTS];
        lengths[0] += width % DOCUMENTS;
        SftRow { input_ids, labels, seq_lengths: Some(lengths) }
    };
    Prepared { rows: (0..count).map(row).collect(), ids: (0..count).map(|row| row.to_string()).collect(), cut: 0, dropped: 0 }
}

/// Notes what each step took, and ends the training after the last that is asked for.
struct Clock {
    steps: usize,
    last: Instant,
    /// Until the first step was done, kernels compiled.
    first: f64,
    seconds: Vec<f64>,
    losses: Vec<f64>,
}

impl Watch for Clock {
    fn step(&mut self, step: &Step) -> Result<(), Stop> {
        // The norm of the gradients has crossed to the processor by now, so that the device has done all of the step but the weights' change.
        if step.step == 1 {
            self.first = self.last.elapsed().as_secs_f64();
        }
        if step.step > SKIPPED {
            self.seconds.push(self.last.elapsed().as_secs_f64());
        }
        self.last = Instant::now();
        self.losses.push(step.metrics["loss"]);
        if step.step == SKIPPED + self.steps { Err(Stop) } else { Ok(()) }
    }
}

/// Returns what the device's allocator holds, in GiB, where it says so.
fn held(device: &Device) -> Option<f64> {
    device.memory_pool_usage().map(|usage| usage.bytes_reserved as f64 / f64::from(1 << 30))
}

#[expect(clippy::print_stdout, reason = "what this program is for")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, mode, batch_size, width, steps] = &arguments[..] else {
        return Err("give: cuda|cpu lora|qlora|small ROWS TOKENS STEPS".into());
    };
    let name: DeviceName = name.parse()?;
    let (device, batch_size, width, steps): (_, usize, usize, usize) =
        (name.open()?, batch_size.parse()?, width.parse()?, steps.parse()?);
    let peak: f64 = std::env::var("PEAK_TFLOPS").ok().map_or(Ok(989.0), |value| value.parse())?;
    let half = device.supports_dtype(DType::BF16);
    let config = config(mode == "small");
    let vocabulary = config["vocab_size"].as_u64().ok_or("a vocabulary")?;
    // Codes are made on the processor, so that the device never holds more than them.
    let drawn_on = if mode == "qlora" { Device::flex() } else { device.clone() };
    let mut model = Model::random(config, half, &drawn_on)?;
    let count = model.num_parameters() as f64;
    if mode == "qlora" {
        model.quantise(true);
    }
    let target_modules = Some(Modules::Pattern("all-linear".into()));
    model.add_adapter(&AdapterConfig { r: 16, lora_alpha: 32.0, target_modules, ..AdapterConfig::default() }, 1)?;
    let training = Training {
        device: name,
        precision: if half { Precision::Bf16 } else { Precision::F32 },
        epochs: Some(1.0),
        batch_size,
        shards: 1,
        learning_rate: 1e-4,
        max_length: Some(width),
        shuffle: false,
        gradient_checkpointing: mode == "qlora",
        ..Training::default()
    };
    let mut rows = rows((SKIPPED + steps + 1) * batch_size, width, vocabulary);
    let settings = Settings { training, method: Sft::default() };
    let mut clock = Clock { steps, last: Instant::now(), first: 0.0, seconds: Vec::new(), losses: Vec::new() };
    match train::run(TrainingRun { model, settings: &settings, rows: &mut rows, evaluation: None, watch: &mut clock }) {
        Ok(_) | Err(train::TrainError::Stopped { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let Clock { mut seconds, losses, first, .. } = clock;
    seconds.sort_by(f64::total_cmp);
    let (median, tokens) = (seconds[seconds.len() / 2], (batch_size * width) as f64);
    println!(
        "{}",
        json!({
            "device": arguments[0], "mode": mode, "half": half, "rows": batch_size, "width": width, "parameters": count,
            "seconds_to_first_step": first, "seconds_per_step_median": median, "seconds_per_step_best": seconds[0],
            "tokens_per_second": (tokens / median).round(),
            "tflops": 4.0 * count * tokens / median / 1e12, "mfu": 4.0 * count * tokens / median / 1e12 / peak,
            "allocator_gib": held(&device), "losses": losses,
        })
    );
    Ok(())
}
