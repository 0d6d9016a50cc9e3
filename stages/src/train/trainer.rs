//! The loop that SFT and DPO share: rows, a plan and a loss in; new weights out.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use super::optimizer::{self, AdamW};
use super::schedule::{Schedule, Scheduler, SchedulerArguments};
use super::{Observe, Step, TrainError, shards};
use crate::models::{Batch, Model, Row};
use crate::random::Random;

/// What a training does, whatever its loss.
pub(super) struct Plan {
    pub(super) epochs: usize,
    pub(super) batch_size: usize,
    pub(super) learning_rate: f64,
    pub(super) lr_scheduler_type: Scheduler,
    pub(super) warmup_ratio: f64,
    pub(super) weight_decay: f64,
    pub(super) adam_beta1: f64,
    pub(super) adam_beta2: f64,
    pub(super) max_grad_norm: f64,
    pub(super) seed: u64,
    pub(super) shards: usize,
}

/// One thread's part of a micro-batch.
pub(super) struct Shard {
    /// Indices of its rows among all rows.
    pub(super) rows: Vec<usize>,
    /// The same rows, laid out.
    pub(super) batch: Batch,
    /// Rows of the whole step.
    pub(super) step_rows: usize,
    /// Predicted tokens of the whole step.
    pub(super) step_targets: usize,
}

/// A shard's share of the step's figures: shares of all shards add up to the figure.
pub(super) type Shares = Vec<(&'static str, f64)>;

impl Plan {
    /// Refuses settings out of their range.
    pub(super) fn check(&self) -> Result<(), TrainError> {
        let counts = [("epochs", self.epochs), ("batch_size", self.batch_size), ("shards", self.shards)];
        if let Some((name, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(TrainError::Setting { name, reason: "must be at least 1".into() });
        }
        let positive = [("learning_rate", self.learning_rate), ("max_grad_norm", self.max_grad_norm)];
        if let Some((name, value)) = positive.into_iter().find(|(_, value)| !(value.is_finite() && *value > 0.0)) {
            return Err(TrainError::Setting { name, reason: format!("is {value} and must be above 0") });
        }
        let parts = [("warmup_ratio", self.warmup_ratio), ("adam_beta1", self.adam_beta1), ("adam_beta2", self.adam_beta2)];
        if let Some((name, value)) = parts.into_iter().find(|(_, value)| !(0.0..1.0).contains(value)) {
            return Err(TrainError::Setting { name, reason: format!("is {value} and must be from 0 to below 1") });
        }
        if !(self.weight_decay.is_finite() && self.weight_decay >= 0.0) {
            return Err(TrainError::Setting { name: "weight_decay", reason: "must be 0 or above".into() });
        }
        Ok(())
    }

    /// Trains on rows, in an order drawn anew for each epoch, and returns the new weights and the number of steps.
    pub(super) fn run(
        &self,
        mut model: Model,
        rows: &[Row],
        loss: &(dyn Fn(&Model, &Shard) -> (Tensor<1>, Shares) + Sync),
        observe: Observe<'_>,
    ) -> Result<(Model, usize), TrainError> {
        let epoch_steps = rows.len().div_ceil(self.batch_size);
        let steps = self.epochs * epoch_steps;
        let names = model.trained_names();
        let arguments = SchedulerArguments::default();
        let schedule = Schedule::new(self.lr_scheduler_type, arguments, self.learning_rate, self.warmup_ratio, steps)?;
        let mut adamw = AdamW::new(self.weight_decay, self.adam_beta1, self.adam_beta2);
        let mut random = Random::new(self.seed, "shuffle");
        let mut order: Vec<usize> = (0..rows.len()).collect();
        let (mut step, mut num_tokens) = (0, 0);
        for _ in 0..self.epochs {
            random.shuffle(&mut order);
            for picked in order.chunks(self.batch_size) {
                let learning_rate = schedule.rate(step);
                step += 1;
                num_tokens += picked.iter().map(|&row| rows[row].width()).sum::<usize>();
                // The low bits are the shards'.
                let draw = self.seed.rotate_left(32) ^ (step as u64) << 8;
                let gathered = shards::gather(&model, &names, draw, &self.deal(rows, picked), loss);
                let mut metrics = BTreeMap::new();
                for (name, share) in gathered.reports.into_iter().flatten() {
                    *metrics.entry(name.to_owned()).or_insert(0.0) += share;
                }
                let grad_norm = optimizer::global_norm(&gathered.gradients);
                metrics.insert("grad_norm".into(), grad_norm);
                metrics.insert("learning_rate".into(), learning_rate);
                metrics.insert("num_tokens".into(), num_tokens as f64);
                for figure in ["loss", "grad_norm"] {
                    let value = metrics.get(figure).copied().unwrap_or_default();
                    if !value.is_finite() {
                        return Err(TrainError::Diverged { step, figure, value });
                    }
                }
                // PyTorch's `clip_grad_norm_`, its 1e-6 included.
                let scale = (self.max_grad_norm / (grad_norm + 1e-6)).min(1.0) as f32;
                adamw.step(model.parameters_mut(), &names, &gathered.gradients, scale, learning_rate);
                let epoch = step as f64 / epoch_steps as f64;
                observe(&Step { step, steps, epoch, metrics }).map_err(|_| TrainError::Stopped { step })?;
            }
        }
        Ok((model, steps))
    }

    /// Deals a micro-batch out to the shards: by width, in turn, so that the shards get equal work and little padding.
    fn deal(&self, rows: &[Row], picked: &[usize]) -> Vec<Shard> {
        let mut picked = picked.to_vec();
        picked.sort_by_key(|&row| rows[row].width());
        let step_targets = picked.iter().map(|&row| rows[row].targets()).sum();
        (0..self.shards.min(picked.len()))
            .map(|shard| {
                let part: Vec<usize> = picked.iter().copied().skip(shard).step_by(self.shards).collect();
                let batch = Batch::new(&part.iter().map(|&row| &rows[row]).collect::<Vec<_>>());
                Shard { rows: part, batch, step_rows: picked.len(), step_targets }
            })
            .collect()
    }
}
