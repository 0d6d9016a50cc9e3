//! Evaluation during a training. Takes a model and rows; gives TRL's metrics with the prefix `eval_`.
//!
//! This file evaluates; `best` compares evaluations and decides on early stopping.

pub(crate) mod best;

use std::collections::BTreeMap;

use super::{
    objective::{Objective, Scored, Share},
    settings::Training,
    shards,
};
use crate::models::Model;

/// Evaluates a model on rows in their order. As in TRL, the loss is a mean over rows, and every other metric a mean over batches.
pub(super) fn evaluate(
    model: &Model,
    settings: &Training,
    objective: &dyn Objective,
    num_tokens: usize,
) -> BTreeMap<String, f64> {
    let rows: Vec<usize> = (0..objective.rows()).collect();
    let batches = rows.chunks(settings.eval_batch_size);
    let count = batches.len() as f64;
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    for batch in batches {
        let shards = shards::split(objective, batch, settings.shards);
        let predictions = shards::predict(model, shards.iter().map(|shard| &shard.batch));
        let scored: Vec<Scored<'_>> = shards
            .iter()
            .zip(&predictions)
            .map(|(shard, predictions)| Scored { rows: &shard.rows, batch: &shard.batch, predictions })
            .collect();
        let targets = batch.iter().map(|&row| objective.targets(row)).sum();
        let weighed = objective.weigh(&scored, Share { targets, micro_batches: 1 });
        *sums.entry("eval_loss".into()).or_default() += weighed.loss * batch.len() as f64 / rows.len() as f64;
        for (name, figure) in weighed.figures {
            *sums.entry(format!("eval_{name}")).or_default() += figure / count;
        }
    }
    sums.insert("eval_num_tokens".into(), num_tokens as f64);
    sums
}
