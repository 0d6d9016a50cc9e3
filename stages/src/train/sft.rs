//! Supervised fine-tuning: prompts with completions in, a checkpoint that completes so out; the loss is on the completions only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::loss;
use super::schedule::Scheduler;
use super::trainer::Plan;
use super::{Observe, Summary, TrainError, Trained};
use crate::models::{Checkpoint, NewModel, Row};
use crate::rows::SftExample;
use crate::sections::Policies;
use crate::tokenizer::Tokenizer;

/// Settings of SFT, under TRL's names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SftSettings {
    /// The decoder to make and train.
    pub new: NewModel,
    /// What the checkpoint's `router.json` says of the routes [default: the manifest's `policies`]; no part in training.
    pub policies: Policies,
    /// How often each row is seen.
    pub epochs: usize,
    /// Rows of one optimiser step.
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
    /// Most tokens of a row; longer ones are cut at the end.
    pub max_length: usize,
    /// Seed of the rows' order, and of first weights where there are none.
    pub seed: u64,
    /// Parts of a micro-batch that are computed at the same time; part of the result, unlike the number of cores.
    pub shards: usize,
}

impl Default for SftSettings {
    fn default() -> Self {
        Self {
            new: NewModel::default(),
            policies: Policies::default(),
            epochs: 3,
            batch_size: 16,
            learning_rate: 3e-3,
            lr_scheduler_type: Scheduler::Linear,
            warmup_ratio: 0.05,
            weight_decay: 0.01,
            adam_beta1: 0.9,
            adam_beta2: 0.99,
            max_grad_norm: 1.0,
            max_length: 256,
            seed: 0,
            shards: 2,
        }
    }
}

impl SftSettings {
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

/// Trains a checkpoint on examples.
///
/// # Errors
/// Settings out of range, a row that cannot be rendered, no row left, a loss that is not a number, or the observer's stop.
pub fn sft(start: Checkpoint, rows: &[SftExample], settings: &SftSettings, observe: Observe<'_>) -> Result<Trained, TrainError> {
    let plan = settings.plan();
    plan.check()?;
    let Checkpoint { model, tokenizer } = start;
    let max_length = settings.max_length.min(model.max_position_embeddings());
    let (rows, mut summary) = prepare(&tokenizer, rows, max_length)?;
    let (model, steps) = plan.run(
        model,
        &rows,
        &|model, shard| {
            let scored = loss::score(model, &shard.batch);
            let loss = loss::cross_entropy(&scored, shard.step_targets);
            let total = shard.step_targets as f64;
            let shares = vec![
                ("loss", -scored.values().iter().map(|&value| f64::from(value)).sum::<f64>() / total),
                ("mean_token_accuracy", scored.correct as f64 / total),
            ];
            (loss, shares)
        },
        observe,
    )?;
    summary.steps = steps;
    summary.num_tokens = settings.epochs * rows.iter().map(Row::width).sum::<usize>();
    Ok(Trained { checkpoint: Checkpoint { model, tokenizer }, summary })
}

fn prepare(tokenizer: &Tokenizer, rows: &[SftExample], max_length: usize) -> Result<(Vec<Row>, Summary), TrainError> {
    let mut summary = Summary::default();
    let mut kept = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let rendered = tokenizer.render_answers(&row.prompt, [&row.completion]);
        let (prompt, [mut completion]) = rendered.map_err(|source| TrainError::Row { row: index, source })?;
        let room = max_length.saturating_sub(prompt.len());
        let cut = completion.len() > room;
        completion.truncate(room);
        if completion.is_empty() {
            summary.dropped += 1;
        } else {
            summary.cut += usize::from(cut);
            kept.push(Row::new(prompt, vec![completion]));
        }
    }
    if kept.is_empty() {
        return Err(TrainError::Nothing { given: rows.len(), dropped: summary.dropped, max_length });
    }
    summary.rows = kept.len();
    Ok((kept, summary))
}
