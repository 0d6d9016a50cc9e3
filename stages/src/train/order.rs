//! The order of rows. Takes settings and a number of rows; gives the micro-batches of every step.
//!
//! The order depends on the settings alone, so that a resumed training has the same.

use super::{TrainError, settings::Training};
use crate::random::Random;

/// The rows of one optimiser step.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StepRows {
    /// Indices of the rows of each micro-batch.
    pub(super) micro_batches: Vec<Vec<usize>>,
    /// Epochs done after the step, as a fraction.
    pub(super) epoch: f64,
}

/// Epochs if the settings have neither epochs nor steps, as in transformers.
const EPOCHS: f64 = 3.0;

/// Returns the rows of all steps. The last micro-batch of an epoch and its last step may be short.
pub(super) fn steps(settings: &Training, rows: usize) -> Result<Vec<StepRows>, TrainError> {
    let micro_batches = rows.div_ceil(settings.batch_size);
    let epoch_steps = micro_batches.div_ceil(settings.gradient_accumulation_steps);
    let epochs = settings.epochs.unwrap_or(EPOCHS);
    let count = settings.max_steps.unwrap_or((epochs * epoch_steps as f64).ceil() as usize);
    if count == 0 {
        return Err(TrainError::Setting { name: "max_steps", reason: "must be at least 1".into() });
    }
    let mut random = Random::new(settings.seed, "shuffle");
    let mut order: Vec<usize> = (0..rows).collect();
    let mut steps = Vec::with_capacity(count);
    for epoch in 0.. {
        if settings.shuffle {
            random.shuffle(&mut order);
        }
        let batches: Vec<&[usize]> = order.chunks(settings.batch_size).collect();
        let mut done = 0;
        for group in batches.chunks(settings.gradient_accumulation_steps) {
            done += group.len();
            let epoch = f64::from(epoch) + done as f64 / micro_batches as f64;
            steps.push(StepRows { micro_batches: group.iter().map(|batch| batch.to_vec()).collect(), epoch });
            if steps.len() == count {
                return Ok(steps);
            }
        }
    }
    unreachable!("an epoch of at least one row has a step")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid_out(training: &Training, rows: usize) -> Vec<(Vec<Vec<usize>>, f64)> {
        steps(training, rows).unwrap().into_iter().map(|step| (step.micro_batches, step.epoch)).collect()
    }

    #[test]
    fn short_batches_and_short_steps_end_an_epoch() {
        let settings =
            Training { shuffle: false, batch_size: 2, gradient_accumulation_steps: 2, epochs: Some(1.5), ..Training::default() };
        let (first, last) = (vec![vec![0, 1], vec![2, 3]], vec![vec![4]]);
        let expected = vec![(first.clone(), 2.0 / 3.0), (last, 1.0), (first, 1.0 + 2.0 / 3.0)];
        assert_eq!(laid_out(&settings, 5), expected);
        assert_eq!(laid_out(&Training { max_steps: Some(1), ..settings }, 5), expected[..1]);
    }

    #[test]
    fn shuffled_epochs_have_all_rows_and_orders_of_their_own() {
        let settings = Training { batch_size: 8, epochs: Some(2.0), ..Training::default() };
        let steps = laid_out(&settings, 8);
        let rows = |step: usize| steps[step].0.concat();
        let sorted = |step| {
            let mut rows = rows(step);
            rows.sort_unstable();
            rows
        };
        assert_ne!(rows(0), rows(1));
        assert_eq!([sorted(0), sorted(1)], [(0..8).collect::<Vec<_>>(), (0..8).collect()]);
        assert_ne!(laid_out(&Training { seed: 1, ..settings }, 8)[0].0.concat(), rows(0));
    }
}
