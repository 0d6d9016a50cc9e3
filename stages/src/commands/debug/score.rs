//! `debug score`. Takes a model folder, prompts and candidates; gives the log-probability of each candidate's tokens.

use clap::Args;
use engine::CommandError;
use serde::{Deserialize, Serialize};

use super::arguments::{Files, ModelArguments};
use crate::{
    commands::files::{read_json, write_json},
    models::{Batch, Row},
    router::score::target_log_probabilities,
    tokenizer::{Tokenizer, TokenizerError},
};

/// Compute the log-probabilities of candidate answers
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Score {
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    files: Files,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost debug score --model gemma-2b --input rows.json --out scores.json

Input (JSON): `rows`, each with `messages` and `candidates` (each with `text`), and `append_eos`. The model's folder has the tokenizer too.
Output (JSON): `rows`, each with `prompt_ids`, `best_by_sum`, `best_by_mean` and `candidates`, each with `ids`, `token_logprobs` (natural
logarithms), `sum` and `mean`.
`fingerpost kinds evaluate` describes how a router's scores are used.";

#[derive(Deserialize)]
struct Input {
    append_eos: bool,
    rows: Vec<Prompt>,
}

#[derive(Deserialize)]
struct Prompt {
    messages: Vec<minijinja::Value>,
    candidates: Vec<Candidate>,
}

#[derive(Deserialize)]
struct Candidate {
    text: String,
}

#[derive(Serialize)]
struct Output {
    rows: Vec<Scores>,
}

#[derive(Serialize)]
struct Scores {
    prompt_ids: Vec<u32>,
    candidates: Vec<Figures>,
    best_by_sum: usize,
    best_by_mean: usize,
}

#[derive(Serialize)]
struct Figures {
    text: String,
    ids: Vec<u32>,
    token_logprobs: Vec<f32>,
    sum: f64,
    mean: f64,
}

impl Score {
    pub(super) fn run(&self) -> Result<(), CommandError> {
        let input: Input = read_json(&self.files.input)?;
        let model = self.model.load()?;
        let wrong = |error: TokenizerError| CommandError::usage(format!("`{}`: {error}", self.model.model.display()));
        let tokenizer = Tokenizer::open(&self.model.model).map_err(wrong)?;
        let end = if input.append_eos {
            Some(tokenizer.end().ok_or(TokenizerError::Unnamed("eos_token")).map_err(wrong)?)
        } else {
            None
        };
        let mut rows = Vec::with_capacity(input.rows.len());
        for (number, prompt) in input.rows.into_iter().enumerate() {
            let prompt_ids = tokenizer.render(&prompt.messages, true).map_err(wrong)?;
            let mut tokens = Vec::new();
            for candidate in &prompt.candidates {
                let mut ids = tokenizer.encode(&candidate.text).map_err(wrong)?;
                ids.extend(end);
                tokens.push(ids);
            }
            if prompt_ids.is_empty() || tokens.iter().any(Vec::is_empty) {
                let file = self.files.input.display();
                return Err(CommandError::usage(format!("`{file}`: row {number}: a prompt or a candidate has no tokens")));
            }
            let batch = Batch::new(&[&Row::new(prompt_ids.clone(), tokens.clone())]);
            model
                .check(&batch)
                .map_err(|error| CommandError::usage(format!("`{}`: row {number}: {error}", self.files.input.display())))?;
            let each = target_log_probabilities(&model, &batch);
            let figures = |((candidate, ids), targets): ((Candidate, Vec<u32>), &Vec<usize>)| {
                let token_logprobs: Vec<f32> = targets.iter().map(|&target| each[target]).collect();
                let sum: f64 = token_logprobs.iter().map(|&value| f64::from(value)).sum();
                Figures { text: candidate.text, mean: sum / ids.len() as f64, ids, token_logprobs, sum }
            };
            let candidates: Vec<Figures> = prompt.candidates.into_iter().zip(tokens).zip(&batch.sequences).map(figures).collect();
            let best = |figure: fn(&Figures) -> f64| {
                // `max_by` takes the last of equal values, so the order is reversed to take the first, as `evaluate` does.
                (0..candidates.len())
                    .rev()
                    .max_by(|&left, &right| figure(&candidates[left]).total_cmp(&figure(&candidates[right])))
            };
            let (best_by_sum, best_by_mean) = (best(|figures| figures.sum), best(|figures| figures.mean));
            rows.push(Scores {
                prompt_ids,
                best_by_sum: best_by_sum.unwrap_or(0),
                best_by_mean: best_by_mean.unwrap_or(0),
                candidates,
            });
        }
        write_json(&self.files.out, &Output { rows })
    }
}
