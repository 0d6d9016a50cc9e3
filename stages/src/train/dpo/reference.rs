//! Pairs and settings of preferences → pairs with their reference, ready to train on; or what in them contradicts itself.

use super::Pairs;
use crate::{
    models::Model,
    train::{
        TrainError, known,
        prepared::{DpoRow, Prepared},
        settings::{Dpo, DpoLoss, Reference, Training},
    },
};

/// Lays pairs out with their reference, which is asked about those of these micro-batches.
pub(crate) fn pairs<'a, 'b>(
    model: &Model,
    method: &'a Dpo,
    training: &Training,
    prepared: &Prepared<DpoRow>,
    micro_batches: impl Iterator<Item = &'b [usize]>,
) -> Result<Pairs<'a>, TrainError> {
    if let Some(row) = prepared.rows.iter().position(|row| row.prompt_ids.is_empty()) {
        return Err(TrainError::Prompt { row: prepared.ids[row].clone() });
    }
    let mut pairs = Pairs::new(&prepared.rows, method, training.max_length);
    known(model, &pairs, &prepared.ids)?;
    match method.reference {
        Reference::None => {}
        _ if method.sync_ref_model => {
            let mut reference = model.clone();
            reference.parameters_mut().thaw(&model.trained_names());
            pairs.follow_from(reference);
        }
        Reference::BaseModel => {
            let (mut base, biases) = (model.without_adapter(), model.trained_biases());
            base.take(&biases, model);
            if biases.is_empty() || method.precompute_ref_log_probs {
                pairs.hold_to(&base, micro_batches, training.shards);
            } else {
                pairs.ask_base(base);
            }
        }
        Reference::StartAdapter => pairs.hold_to(model, micro_batches, training.shards),
    }
    Ok(pairs)
}

/// Writes into rows what the reference says of them.
pub(crate) fn note(rows: &mut [DpoRow], pairs: &Pairs<'_>) {
    for (row, [chosen, rejected]) in rows.iter_mut().zip(pairs.known().unwrap_or_default()) {
        row.ref_chosen_logps = Some(*chosen);
        row.ref_rejected_logps = Some(*rejected);
    }
}

/// Refuses settings of preferences that are out of their range, or that contradict each other.
pub(crate) fn check(method: &Dpo, training: &Training) -> Result<(), TrainError> {
    let refuse = |name, reason: &str| Err(TrainError::Setting { name, reason: reason.into() });
    let has = |loss: DpoLoss| method.loss_type.contains(&loss);
    if !(method.beta.is_finite() && method.beta > 0.0) {
        return Err(TrainError::Setting { name: "beta", reason: format!("is {} and must be above 0", method.beta) });
    }
    if method.loss_type.is_empty() {
        return refuse("loss_type", "names no loss");
    }
    if method.loss_weights.as_ref().is_some_and(|weights| weights.len() != method.loss_type.len()) {
        return refuse("loss_weights", "must have one for each of `loss_type`");
    }
    if !(0.0..1.0).contains(&method.label_smoothing) {
        return refuse("label_smoothing", "must be from 0 to below 1");
    }
    if has(DpoLoss::ExoPair) && method.label_smoothing == 0.0 {
        return refuse("label_smoothing", "must be above 0 with `exo_pair`, 0.001 for example");
    }
    if has(DpoLoss::Robust) && method.label_smoothing >= 0.5 {
        return refuse("label_smoothing", "must be below 0.5 with `robust`");
    }
    if method.ld_alpha.is_some_and(|alpha| !(0.0..=1.0).contains(&alpha)) {
        return refuse("ld_alpha", "must be from 0 to 1");
    }
    if has(DpoLoss::Discopop) && !(method.discopop_tau.is_finite() && method.discopop_tau > 0.0) {
        return refuse("discopop_tau", "must be above 0");
    }
    if method.sync_ref_model {
        if training.adapter.is_some() {
            return refuse("sync_ref_model", "is for training in full: with an adapter the reference is the frozen start");
        }
        if method.precompute_ref_log_probs {
            return refuse("sync_ref_model", "cannot be with `precompute_ref_log_probs`: the reference changes");
        }
        if method.ref_model_sync_steps == 0 {
            return refuse("ref_model_sync_steps", "must be at least 1");
        }
    }
    Ok(())
}
