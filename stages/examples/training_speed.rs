//! How fast a decoder trains: one line of JSON with tokens a second, CPU milliseconds a step and peak memory out.
//!
//! ```text
//! cargo run --release --example training_speed -- small sft full 8
//! ```
//!
//! Sizes are those of a 2 M model with rows of 128 tokens (`tiny`) and of a 28 M model with rows of 256 (`small`); SFT takes 8 rows a
//! step, DPO 4 pairs; `full` trains all weights, `lora` factors of rank 16 on all projections. The fourth argument is the number of steps;
//! behind it `checkpointing` computes each layer again in the backward pass, `bf16` takes products of bfloat16, and `nf4` holds the base in 4
//! bits (with `lora`).

use std::{error::Error, fs, time::Instant};

use fingerpost::{
    models::{AdapterConfig, Checkpoint, Modules, NewModel},
    rows::{DpoExample, Message, SftExample},
    tokenizer::Tokenizer,
    train::{
        self, Memory, Method, Step, Stop, TrainError, TrainingRun, Watch,
        dpo::Dpo,
        prepared::{Columns, columns},
        settings::{Precision, Settings, Training},
        sft::Sft,
    },
};

const USAGE: &str = "give: tiny|small sft|dpo full|lora STEPS [checkpointing] [bf16] [nf4]";

/// Steps before the clock counts.
const SKIPPED: usize = 2;

struct Size {
    new: NewModel,
    /// Tokens of a row, give or take a few.
    tokens: usize,
}

fn size(name: &str) -> Result<Size, String> {
    let llama = |hidden_size, intermediate_size, layers, heads, vocab_size| NewModel {
        hidden_size,
        intermediate_size,
        num_hidden_layers: layers,
        num_attention_heads: heads,
        num_key_value_heads: heads,
        vocab_size,
        max_position_embeddings: 2048,
        ..NewModel::default()
    };
    match name {
        "tiny" => Ok(Size { new: llama(192, 512, 4, 4, 2048), tokens: 128 }),
        "small" => Ok(Size { new: llama(512, 1376, 8, 8, 4855), tokens: 256 }),
        _ => Err(format!("no size `{name}`: it is `tiny` or `small`")),
    }
}

/// Words of random syllables, the same each time.
struct Words(u64);

impl Words {
    fn number(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }

    fn text(&mut self, words: usize) -> String {
        let parts =
            ["ba", "re", "ti", "lo", "mun", "sa", "ke", "dor", "vi", "pal", "en", "ox", "tra", "gi", "hul", "ne", "qua", "zi"];
        let word = |_| (0..=self.number(4)).map(|_| parts[self.number(parts.len())]).collect::<String>();
        (0..words).map(word).collect::<Vec<_>>().join(" ")
    }

    /// Text of about so many tokens.
    fn tokens(&mut self, tokenizer: &Tokenizer, tokens: usize) -> Result<String, Box<dyn Error>> {
        let mut text = String::new();
        while tokenizer.encode(&text)?.len() < tokens {
            text += &format!(" {}", self.text(1));
        }
        Ok(text)
    }
}

/// Returns the process's CPU time in milliseconds and its peak memory in MiB, as Linux counts them.
fn usage() -> Result<(f64, f64), Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).and_then(|line| line.split_whitespace().next());
    Ok((ticks * 10.0, peak.unwrap_or("0").parse::<f64>()? / 1024.0))
}

/// Notes what each step took, and ends the training after the last that is asked for.
struct Clock {
    steps: usize,
    last: (Instant, f64, f64),
    /// Seconds, CPU milliseconds and tokens of each step that counts.
    wall: Vec<f64>,
    cpu: Vec<f64>,
    counted: Vec<f64>,
    losses: Vec<f64>,
    /// Estimated peak in MiB.
    estimate: f64,
}

impl Watch for Clock {
    fn memory(&mut self, memory: &Memory) {
        self.estimate = memory.peak() as f64 / 1024.0 / 1024.0;
    }

    fn step(&mut self, step: &Step) -> Result<(), Stop> {
        let (now, (used, _)) = (Instant::now(), usage().map_err(|_| Stop)?);
        self.losses.push(step.metrics["loss"]);
        if step.step > SKIPPED {
            self.wall.push((now - self.last.0).as_secs_f64());
            self.cpu.push(used - self.last.1);
            self.counted.push(step.metrics["num_tokens"] - self.last.2);
        }
        self.last = (now, used, step.metrics["num_tokens"]);
        if step.step == SKIPPED + self.steps { Err(Stop) } else { Ok(()) }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Trains until the clock ends the training.
fn run<M: Method>(start: Checkpoint, settings: Settings<M>, rows: &[Columns], clock: &mut Clock) -> Result<(), Box<dyn Error>> {
    let mut rows = settings.method.prepare(&start.tokenizer, rows, settings.training.max_length)?;
    let run = TrainingRun { model: start.model, settings: &settings, rows: &mut rows, evaluation: None, watch: clock };
    match train::run(run) {
        Ok(_) | Err(TrainError::Stopped { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[expect(clippy::print_stdout, reason = "what this program is for")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ([name, kind, mode, steps], rest) = arguments.split_first_chunk().ok_or(USAGE)?;
    if rest.iter().any(|word| !["checkpointing", "bf16", "nf4"].contains(&word.as_str())) {
        return Err(USAGE.into());
    }
    let has = |word: &str| rest.iter().any(|given| given == word);
    let steps: usize = steps.parse()?;
    let Size { new, tokens } = size(name)?;
    let mut words = Words(7);
    let texts: Vec<String> = (0..600).map(|_| words.text(200)).collect();
    let tokenizer = Tokenizer::train(texts.into_iter(), new.vocab_size, new.pieces)?;
    let mut start = Checkpoint::new(&new, tokenizer, 3)?;
    if has("nf4") {
        start.model.quantise(false);
    }
    if mode == "lora" {
        let target_modules = Some(Modules::Pattern("all-linear".into()));
        start.model.add_adapter(&AdapterConfig { r: 16, lora_alpha: 32.0, target_modules, ..AdapterConfig::default() }, 1)?;
    }
    let tokenizer = start.tokenizer.clone();
    let (answer, turn) = (tokens / 6 + 8, 4);
    let mut say = |role: &str, tokens| Ok::<_, Box<dyn Error>>(vec![Message::new(role, words.tokens(&tokenizer, tokens)?)]);

    let batch_size = if kind == "sft" { 8 } else { 4 };
    let training = Training {
        epochs: Some(1.0),
        batch_size,
        learning_rate: 2e-4,
        max_length: Some(512),
        shuffle: false,
        gradient_checkpointing: has("checkpointing"),
        precision: if has("bf16") { Precision::Bf16 } else { Precision::F32 },
        ..Training::default()
    };
    let count = (SKIPPED + steps + 1) * batch_size;
    let columns = if kind == "sft" {
        let row = |id: usize| {
            let (prompt, completion) = (say("user", tokens - answer - turn)?, say("assistant", answer)?);
            Ok::<_, Box<dyn Error>>(columns::of(&SftExample { id: id.to_string(), prompt, completion }))
        };
        (0..count).map(row).collect::<Result<Vec<_>, _>>()?
    } else {
        let row = |id: usize| {
            let (prompt, chosen) = (say("user", tokens - answer - turn)?, say("assistant", answer)?);
            let rejected = say("assistant", answer)?;
            Ok::<_, Box<dyn Error>>(columns::of(&DpoExample { id: id.to_string(), prompt, chosen, rejected }))
        };
        (0..count).map(row).collect::<Result<Vec<_>, _>>()?
    };
    let (wall, cpu, counted) = (Vec::new(), Vec::new(), Vec::new());
    let mut clock = Clock { steps, last: (Instant::now(), 0.0, 0.0), wall, cpu, counted, losses: Vec::new(), estimate: 0.0 };
    if kind == "sft" {
        run(start, Settings { training, method: Sft::default() }, &columns, &mut clock)?;
    } else {
        run(start, Settings { training, method: Dpo::default() }, &columns, &mut clock)?;
    }
    let Clock { wall, cpu, counted, losses, estimate, .. } = clock;
    let rates = wall.iter().zip(&counted).map(|(wall, tokens)| tokens / wall).collect();
    println!(
        "{}",
        serde_json::json!({
            "size": name, "kind": kind, "mode": mode, "with": rest, "steps": steps,
            "tokens_per_second_median": median(rates).round(), "tokens_per_step": median(counted),
            "seconds_per_step_best": wall.iter().copied().fold(f64::INFINITY, f64::min),
            "seconds_per_step_median": median(wall), "cpu_ms_per_step": cpu.iter().sum::<f64>() / cpu.len() as f64,
            "peak_rss_mib": usage()?.1, "estimated_mib": estimate.round(), "losses": [losses[0], losses[losses.len() - 1]],
        })
    );
    Ok(())
}
