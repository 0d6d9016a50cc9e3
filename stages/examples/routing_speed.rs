//! How fast a decoder decides between routes: for one prompt and for 64 at once a line of JSON with milliseconds a decision out.
//!
//! ```text
//! cargo run --release --example routing_speed -- FOLDER 40
//! ```
//!
//! `FOLDER` holds a checkpoint and `router_prompts.json`: `{"prompts": [[message, …], …], "candidates": [text, …]}`, all prompts with the
//! same routes. `cached` has read the routes before, `fresh` reads each prompt whole.

use std::{error::Error, fs, path::Path, time::Instant};

use fingerpost::{models::Checkpoint, router::score::Scorer, rows::Message};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    prompts: Vec<Vec<Message>>,
    candidates: Vec<String>,
}

/// Times decisions on so many prompts at once, and returns the median and the best in milliseconds a decision.
fn time(scorer: &Scorer<'_>, prompts: &[Vec<Message>], together: usize, count: usize) -> Result<[f64; 2], Box<dyn Error>> {
    let mut times = Vec::new();
    let mut prompts = prompts.iter().cycle();
    for _ in 0..count.div_ceil(together) {
        let batch: Vec<_> = prompts.by_ref().take(together).cloned().collect();
        let start = Instant::now();
        scorer.score(&batch)?;
        times.push(start.elapsed().as_secs_f64() * 1000.0 / together as f64);
    }
    times.sort_by(f64::total_cmp);
    Ok([times[times.len() / 2], times[0]])
}

#[expect(clippy::print_stdout, reason = "what this program is for")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, count] = &arguments[..] else { return Err("give: FOLDER COUNT".into()) };
    let folder = Path::new(folder);
    let count = count.parse::<usize>()?.max(1);
    let checkpoint = Checkpoint::load(folder)?;
    let Case { prompts, candidates } = serde_json::from_slice(&fs::read(folder.join("router_prompts.json"))?)?;
    let cached = Scorer::open(&checkpoint, &prompts, &candidates)?;
    // One prompt has nothing in common with others, so that nothing is read before.
    let fresh = Scorer::open(&checkpoint, &prompts[..1], &candidates)?;
    for together in [1, 64] {
        let [cached_p50, cached_best] = time(&cached, &prompts, together, count)?;
        let [fresh_p50, fresh_best] = time(&fresh, &prompts, together, count)?;
        println!(
            "{}",
            serde_json::json!({
                "batch": together, "cached_p50_ms": cached_p50, "cached_best_ms": cached_best,
                "fresh_p50_ms": fresh_p50, "fresh_best_ms": fresh_best,
            })
        );
    }
    Ok(())
}
