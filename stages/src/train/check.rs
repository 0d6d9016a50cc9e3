//! Checks of settings. Takes the settings of a training before anything is read; gives the first that is out of range or contradicts
//! another.

use super::{
    TrainError,
    method::Method,
    schedule::Schedule,
    settings::{Training, range},
};

/// Steps of a training whose rows are not known yet: no check depends on their number.
const STEPS: usize = 1000;

/// Checks the settings of a training and of its method.
///
/// # Errors
/// [`TrainError::Setting`].
pub(crate) fn check<M: Method>(training: &Training, method: &M) -> Result<(), TrainError> {
    let Training { lr_scheduler, lr_scheduler_args, learning_rate, warmup, .. } = *training;
    ranges(training)?;
    Schedule::new(lr_scheduler, lr_scheduler_args, learning_rate, warmup, STEPS)?;
    method.check(training)
}

/// Returns an error if a setting is out of its range.
pub(super) fn ranges(settings: &Training) -> Result<(), TrainError> {
    let counts = [
        ("batch_size", settings.batch_size),
        ("gradient_accumulation_steps", settings.gradient_accumulation_steps),
        ("shards", settings.shards),
        ("eval_batch_size", settings.eval_batch_size),
        ("eval_steps", settings.eval_steps.unwrap_or(1)),
    ];
    if let Some((name, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
        return Err(TrainError::Setting { name, reason: "must be at least 1".into() });
    }
    range::positive("epochs", settings.epochs.unwrap_or(1.0))?;
    range::not_negative("max_grad_norm", settings.max_grad_norm)?;
    settings.optimizer.check()
}
