//! The learning rate of each step: settings and a step's number in, a rate out, as Hugging Face's schedulers give it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the rate falls after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scheduler {
    /// Along a straight line to 0.
    #[default]
    Linear,
    /// Along half a cosine to 0.
    Cosine,
    /// Not at all.
    Constant,
}

/// A schedule laid out over the steps of one training.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    pub(super) scheduler: Scheduler,
    pub(super) learning_rate: f64,
    pub(super) warmup: usize,
    pub(super) steps: usize,
}

impl Schedule {
    /// Lays a schedule out; the warm-up is rounded up to whole steps, as Hugging Face's is.
    pub(super) fn new(scheduler: Scheduler, learning_rate: f64, warmup_ratio: f64, steps: usize) -> Self {
        let warmup = (steps as f64 * warmup_ratio).ceil() as usize;
        Self { scheduler, learning_rate, warmup, steps }
    }

    /// Returns the rate of a step, counted from 0.
    pub(super) fn rate(&self, step: usize) -> f64 {
        if step < self.warmup {
            return self.learning_rate * step as f64 / self.warmup as f64;
        }
        let progress = (step - self.warmup) as f64 / (self.steps - self.warmup).max(1) as f64;
        self.learning_rate
            * match self.scheduler {
                Scheduler::Linear => (1.0 - progress).max(0.0),
                Scheduler::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
                Scheduler::Constant => 1.0,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(scheduler: Scheduler) -> Vec<f64> {
        let schedule = Schedule::new(scheduler, 1.0, 0.2, 10);
        (0..10).map(|step| (schedule.rate(step) * 1e6).round() / 1e6).collect()
    }

    #[test]
    fn rates_are_those_of_hugging_face() {
        // transformers.get_linear_schedule_with_warmup(2, 10), and the cosine one.
        assert_eq!(rates(Scheduler::Linear), [0.0, 0.5, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]);
        let cosine = [0.0, 0.5, 1.0, 0.96194, 0.853553, 0.691342, 0.5, 0.308658, 0.146447, 0.03806];
        assert_eq!(rates(Scheduler::Cosine), cosine);
        assert_eq!(rates(Scheduler::Constant)[2..], [1.0; 8]);
    }

    #[test]
    fn warm_up_is_rounded_up_and_may_be_none() {
        assert_eq!(Schedule::new(Scheduler::Linear, 1.0, 0.01, 10).warmup, 1);
        assert_eq!(Schedule::new(Scheduler::Linear, 1.0, 0.0, 10).rate(0), 1.0);
    }
}
