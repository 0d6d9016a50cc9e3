//! Direct preference optimisation: prompts with a chosen and a rejected completion in, a checkpoint that prefers the chosen out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::loss;
use super::schedule::Scheduler;
use super::trainer::Plan;
use super::{Observe, Summary, TrainError, Trained};
use crate::models::{Checkpoint, Row};
use crate::rows::DpoExample;
use crate::score;
use crate::tokenizer::Tokenizer;

/// Settings of DPO, under TRL's names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DpoSettings {
    /// How often each pair is seen.
    pub epochs: usize,
    /// Pairs of one optimiser step.
    pub batch_size: usize,
    /// Highest learning rate.
    pub learning_rate: f64,
    /// How the rate falls after the warm-up.
    pub lr_scheduler_type: Scheduler,
    /// Share of the steps in which the rate rises from 0.
    pub warmup_ratio: f64,
    /// Decay of matrices; norms do not decay.
    pub weight_decay: f64,
    /// Decay of the gradient's average.
    pub adam_beta1: f64,
    /// Decay of the squared gradient's average.
    pub adam_beta2: f64,
    /// Largest norm of all gradients together; longer ones are scaled to it.
    pub max_grad_norm: f64,
    /// Most tokens of a prompt with one completion; longer ones are cut at the end.
    pub max_length: usize,
    /// How strongly the model is held to the start, which is the frozen reference.
    pub beta: f64,
    /// Seed of the rows' order.
    pub seed: u64,
    /// Parts of a micro-batch that are computed at the same time; part of the result, unlike the number of cores.
    pub shards: usize,
}

impl Default for DpoSettings {
    fn default() -> Self {
        Self {
            epochs: 1,
            batch_size: 16,
            learning_rate: 1e-4,
            lr_scheduler_type: Scheduler::Linear,
            warmup_ratio: 0.1,
            weight_decay: 0.0,
            adam_beta1: 0.9,
            adam_beta2: 0.99,
            max_grad_norm: 1.0,
            max_length: 256,
            beta: 0.1,
            seed: 0,
            shards: 2,
        }
    }
}

impl DpoSettings {
    fn plan(&self) -> Plan {
        Plan {
            epochs: self.epochs,
            batch_size: self.batch_size,
            learning_rate: self.learning_rate,
            lr_scheduler_type: self.lr_scheduler_type,
            warmup_ratio: self.warmup_ratio,
            weight_decay: self.weight_decay,
            adam_beta1: self.adam_beta1,
            adam_beta2: self.adam_beta2,
            max_grad_norm: self.max_grad_norm,
            seed: self.seed,
            shards: self.shards,
        }
    }
}

/// Trains a checkpoint on preferences; the reference is the start itself, its log-probabilities computed once before the first step.
///
/// # Errors
/// Settings out of range, a row that cannot be rendered, no row left, a loss that is not a number, or the observer's stop.
pub fn dpo(start: Checkpoint, rows: &[DpoExample], settings: &DpoSettings, observe: Observe<'_>) -> Result<Trained, TrainError> {
    let plan = settings.plan();
    plan.check()?;
    let beta = settings.beta;
    if !(beta.is_finite() && beta > 0.0) {
        return Err(TrainError::Setting { name: "beta", reason: format!("is {beta} and must be above 0") });
    }
    let Checkpoint { model, tokenizer } = start;
    let max_length = settings.max_length.min(model.max_position_embeddings());
    let (rows, mut summary) = prepare(&tokenizer, rows, max_length)?;
    let references = score::log_probabilities(&model, &rows);
    let (model, steps) = plan.run(
        model,
        &rows,
        &|model, shard| {
            let scored = loss::score(model, &shard.batch);
            let reference: Vec<f64> = shard.rows.iter().flat_map(|&row| references[row].iter().copied()).collect();
            let loss = loss::preference(&scored, &shard.batch, &reference, beta, shard.step_rows);
            let sums = loss::sequence_sums(&scored.values(), &shard.batch);
            (loss, shares(&sums, &reference, beta, shard.step_rows as f64))
        },
        observe,
    )?;
    summary.steps = steps;
    summary.num_tokens = settings.epochs * rows.iter().map(Row::width).sum::<usize>();
    Ok(Trained { checkpoint: Checkpoint { model, tokenizer }, summary })
}

/// Computes TRL's figures of a shard's pairs as shares of the step's means.
fn shares(sums: &[f64], reference: &[f64], beta: f64, step_pairs: f64) -> Vec<(&'static str, f64)> {
    let mut shares = Vec::new();
    for (sums, reference) in sums.chunks_exact(2).zip(reference.chunks_exact(2)) {
        let (chosen, rejected) = (beta * (sums[0] - reference[0]), beta * (sums[1] - reference[1]));
        let margin = chosen - rejected;
        // ln(1 + e^-x) without overflow on either side.
        let loss = (-margin.abs()).exp().ln_1p() + (-margin).max(0.0);
        let figures = [
            ("loss", loss),
            ("rewards/chosen", chosen),
            ("rewards/rejected", rejected),
            ("rewards/margins", margin),
            ("rewards/accuracies", f64::from(u8::from(chosen > rejected))),
            ("logps/chosen", sums[0]),
            ("logps/rejected", sums[1]),
        ];
        shares.extend(figures.map(|(name, figure)| (name, figure / step_pairs)));
    }
    shares
}

fn prepare(tokenizer: &Tokenizer, rows: &[DpoExample], max_length: usize) -> Result<(Vec<Row>, Summary), TrainError> {
    let mut summary = Summary::default();
    let mut kept = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let rendered = tokenizer.render_answers(&row.prompt, [&row.chosen, &row.rejected]);
        let (prompt, mut completions) = rendered.map_err(|source| TrainError::Row { row: index, source })?;
        let room = max_length.saturating_sub(prompt.len());
        let cut = completions.iter().any(|completion| completion.len() > room);
        for completion in &mut completions {
            completion.truncate(room);
        }
        if completions[0] == completions[1] {
            summary.dropped += 1;
        } else {
            summary.cut += usize::from(cut);
            kept.push(Row::new(prompt, completions.into()));
        }
    }
    if kept.is_empty() {
        return Err(TrainError::Nothing { given: rows.len(), dropped: summary.dropped, max_length });
    }
    summary.rows = kept.len();
    Ok((kept, summary))
}
