//! The best evaluation, and early stopping, as in transformers' `Trainer` and its `EarlyStoppingCallback`. Takes the metrics of an evaluation;
//! gives whether it is the best so far, and whether the training stops.
//!
//! An evaluation that improves on the best by no more than the threshold is the new best, but it still counts against the patience.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::train::{TrainError, schedule::Scheduler, settings::Training};

/// Metric by which evaluations are compared if the settings name none.
const BY_DEFAULT: &str = "eval_loss";

/// The best evaluation so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Best {
    /// Bits of the metric's value, since JSON's decimals may round it; none before the first evaluation.
    metric_bits: Option<u64>,
    /// The step after which it was measured.
    pub(crate) step: usize,
    /// Evaluations since the last improvement by more than the threshold.
    waited: usize,
}

/// What follows from an evaluation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// It is the best so far.
    pub(crate) better: bool,
    /// The patience is used up.
    pub(crate) stop: bool,
}

impl Best {
    /// Returns the best value of the metric.
    pub(crate) fn metric(&self) -> Option<f64> {
        self.metric_bits.map(f64::from_bits)
    }

    /// Compares the evaluation after a step with the best one.
    pub(crate) fn judge(&mut self, settings: &Training, step: usize, figures: &BTreeMap<String, f64>) -> Verdict {
        let Some(&value) = figures.get(&metric(settings)) else { return Verdict::default() };
        let greater = greater_is_better(settings);
        let beats = |other: f64| if greater { value > other } else { value < other };
        let before = self.metric();
        let ends_waiting =
            before.is_none_or(|before| beats(before) && (value - before).abs() > settings.early_stopping_threshold);
        self.waited = if ends_waiting { 0 } else { self.waited + 1 };
        let better = beats(before.unwrap_or(if greater { f64::NEG_INFINITY } else { f64::INFINITY }));
        if better {
            (self.metric_bits, self.step) = (Some(value.to_bits()), step);
        }
        Verdict { better, stop: settings.early_stopping_patience.is_some_and(|patience| self.waited >= patience) }
    }
}

/// Names the metric by which evaluations are compared.
pub(crate) fn metric(settings: &Training) -> String {
    match settings.metric_for_best_model.as_deref() {
        None => BY_DEFAULT.to_owned(),
        Some(name) if name.starts_with("eval_") => name.to_owned(),
        Some(name) => format!("eval_{name}"),
    }
}

/// Returns whether a larger value of the metric is better. By default it is, unless the metric is a loss.
fn greater_is_better(settings: &Training) -> bool {
    settings.greater_is_better.unwrap_or_else(|| !metric(settings).ends_with("loss"))
}

/// Checks settings that need evaluations.
///
/// # Errors
/// There are no rows to evaluate on, or evaluations lack the metric.
pub(crate) fn check(settings: &Training, evaluated: bool, figures: &[&str]) -> Result<(), TrainError> {
    let refuse = |name, reason: String| Err(TrainError::Setting { name, reason });
    let needing = [
        ("lr_scheduler", settings.lr_scheduler == Scheduler::ReduceLrOnPlateau),
        ("eval_steps", settings.eval_steps.is_some()),
        ("load_best_model_at_end", settings.load_best_model_at_end),
        ("metric_for_best_model", settings.metric_for_best_model.is_some()),
        ("early_stopping_patience", settings.early_stopping_patience.is_some()),
    ];
    if let Some((name, _)) = needing.into_iter().find(|(_, given)| *given && !evaluated) {
        return refuse(name, "needs rows to evaluate on: wire `validation`, or name `eval_data` in a `stage.json`".to_owned());
    }
    if settings.early_stopping_patience == Some(0) {
        return refuse("early_stopping_patience", "must be at least 1".to_owned());
    }
    if !(settings.early_stopping_threshold.is_finite() && settings.early_stopping_threshold >= 0.0) {
        return refuse("early_stopping_threshold", "must be 0 or above".to_owned());
    }
    let wanted = metric(settings);
    if evaluated && !figures.iter().any(|figure| wanted.strip_prefix("eval_") == Some(*figure)) {
        let known: Vec<_> = figures.iter().map(|figure| format!("`{figure}`")).collect();
        return refuse("metric_for_best_model", format!("is `{wanted}`, and evaluations have {}", known.join(", ")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(settings: &Training, name: &str, values: &[f64]) -> (Best, Vec<Verdict>) {
        let mut best = Best::default();
        let verdicts = values.iter().enumerate();
        let verdicts =
            verdicts.map(|(step, &value)| best.judge(settings, step + 1, &[(name.to_owned(), value)].into())).collect();
        (best, verdicts)
    }

    #[test]
    fn waiting_ends_by_more_than_the_threshold_and_the_best_moves_by_less() {
        let settings = Training { early_stopping_patience: Some(2), early_stopping_threshold: 0.1, ..Training::default() };
        let (best, verdicts) = judged(&settings, "eval_loss", &[1.0, 0.95, 0.7, 0.8, 0.69]);
        let found: Vec<_> = verdicts.iter().map(|verdict| (verdict.better, verdict.stop)).collect();
        // 0.95 is the new best, but not by enough; 0.7 is better by enough; 0.8 and 0.69 are not, and use up a patience of two.
        assert_eq!(found, [(true, false), (true, false), (true, false), (false, false), (true, true)]);
        assert_eq!((best.metric(), best.step), (Some(0.69), 5));
    }

    #[test]
    fn of_a_loss_less_is_better_and_of_anything_else_more() {
        let settings = Training { metric_for_best_model: Some("mean_token_accuracy".into()), ..Training::default() };
        assert_eq!(judged(&settings, "eval_mean_token_accuracy", &[0.5, 0.7, 0.6]).0.step, 2);
        let settings = Training { greater_is_better: Some(false), ..settings };
        assert_eq!(judged(&settings, "eval_mean_token_accuracy", &[0.5, 0.4, 0.6]).0.step, 2);
        assert_eq!(judged(&Training::default(), "eval_loss", &[f64::NAN, 2.0, 1.0, f64::NAN]).0.step, 3);
    }
}
