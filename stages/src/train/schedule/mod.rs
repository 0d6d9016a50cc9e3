//! The learning rate of each step, as by transformers' `get_scheduler`. Takes settings and a step's number; gives a rate.
//!
//! This file has the schedules, `arguments` their arguments, and `plateau` the one that depends on evaluations.

pub(crate) mod arguments;
pub(crate) mod plateau;

use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{TrainError, settings::Warmup};
use arguments::{Curve, SchedulerArguments};

/// Schedulers of the learning rate, under transformers' names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scheduler {
    /// Linear decay to 0.
    #[default]
    Linear,
    /// `num_cycles` waves of a cosine; by default half a wave, to 0.
    Cosine,
    /// Half a cosine to 0, `num_cycles` times.
    CosineWithRestarts,
    /// Polynomial decay of degree `power` to `lr_end`.
    Polynomial,
    /// Constant, without a warm-up.
    Constant,
    /// Constant after the warm-up.
    ConstantWithWarmup,
    /// Decay with the inverse square root of the steps.
    InverseSqrt,
    /// Half a cosine to `min_lr`, or to `min_lr_rate` times the highest rate.
    CosineWithMinLr,
    /// The same, shifted by one step: the warm-up begins above 0, and the last step has the lowest rate.
    CosineWarmupWithMinLr,
    /// Decay when evaluations do not improve, without a warm-up.
    ReduceLrOnPlateau,
    /// Constant, and in the last `num_decay_steps` decay to `min_lr_ratio` times the highest rate.
    WarmupStableDecay,
}

/// A schedule over the steps of one training.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    scheduler: Scheduler,
    arguments: SchedulerArguments,
    learning_rate: f64,
    warmup: usize,
    steps: usize,
}

impl Schedule {
    /// Builds a schedule over this many steps.
    ///
    /// # Errors
    /// The rate or the warm-up is out of range, or an argument is missing or belongs to another scheduler.
    pub fn new(
        scheduler: Scheduler,
        arguments: SchedulerArguments,
        learning_rate: f64,
        warmup: Warmup,
        steps: usize,
    ) -> Result<Self, TrainError> {
        let refuse = |name, reason: &str| Err(TrainError::Setting { name, reason: reason.to_owned() });
        if !(learning_rate.is_finite() && learning_rate >= 0.0) {
            return refuse("learning_rate", "must be 0 or above");
        }
        if !(warmup.ratio.is_finite() && warmup.ratio >= 0.0) {
            return refuse("warmup", "must be 0 or above");
        }
        let schedule = Self { scheduler, arguments, learning_rate, warmup: warmup.among(steps), steps };
        if let Some(name) = arguments.unknown(scheduler) {
            return refuse(name, "is not an argument of this scheduler");
        }
        match scheduler {
            Scheduler::Polynomial if learning_rate <= schedule.lr_end() => refuse("lr_end", "must be below the learning rate"),
            Scheduler::InverseSqrt if arguments.timescale == Some(0) => refuse("timescale", "must be at least 1"),
            Scheduler::CosineWithMinLr | Scheduler::CosineWarmupWithMinLr
                if arguments.min_lr.is_some() == arguments.min_lr_rate.is_some() =>
            {
                refuse("min_lr", "or `min_lr_rate` must be given, one of the two")
            }
            Scheduler::ReduceLrOnPlateau if arguments.factor.is_some_and(|factor| !(0.0..1.0).contains(&factor)) => {
                refuse("factor", "must be from 0 to below 1")
            }
            Scheduler::WarmupStableDecay if arguments.num_decay_steps.is_none() => refuse("num_decay_steps", "must be given"),
            _ => Ok(schedule),
        }
    }

    /// Returns the rate of a step, counted from 0.
    #[must_use]
    pub fn rate(&self, step: usize) -> f64 {
        self.learning_rate * self.factor(step)
    }

    fn lr_end(&self) -> f64 {
        self.arguments.lr_end.unwrap_or(1e-7)
    }

    /// Returns the rate of a step as a factor of the highest rate.
    fn factor(&self, step: usize) -> f64 {
        if self.scheduler == Scheduler::WarmupStableDecay {
            return self.warmup_stable_decay(step);
        }
        if self.scheduler == Scheduler::CosineWarmupWithMinLr && step < self.warmup {
            return match self.arguments.warmup_lr_rate {
                None => (step + 1) as f64 / self.warmup as f64,
                Some(lowest) => lowest + (1.0 - lowest) * step as f64 / self.warmup.saturating_sub(1).max(1) as f64,
            };
        }
        if !matches!(self.scheduler, Scheduler::Constant | Scheduler::ReduceLrOnPlateau) && step < self.warmup {
            return step as f64 / self.warmup as f64;
        }
        let since = step.saturating_sub(self.warmup) as f64;
        let left = self.steps.saturating_sub(self.warmup).max(1) as f64;
        let progress = since / left;
        match self.scheduler {
            Scheduler::Linear => (1.0 - progress).max(0.0),
            Scheduler::Cosine => self.cosine(progress).max(0.0),
            Scheduler::CosineWithRestarts if progress >= 1.0 => 0.0,
            Scheduler::CosineWithRestarts => {
                let cycle = (self.arguments.num_cycles.unwrap_or(1.0) * progress) % 1.0;
                (0.5 * (1.0 + (PI * cycle).cos())).max(0.0)
            }
            Scheduler::Polynomial if step > self.steps => self.lr_end() / self.learning_rate,
            Scheduler::Polynomial => {
                let power = self.arguments.power.unwrap_or(1.0);
                let range = self.learning_rate - self.lr_end();
                (range * (1.0 - progress).powf(power) + self.lr_end()) / self.learning_rate
            }
            Scheduler::Constant | Scheduler::ConstantWithWarmup | Scheduler::ReduceLrOnPlateau | Scheduler::WarmupStableDecay => {
                1.0
            }
            Scheduler::InverseSqrt => {
                let warmup = if self.warmup == 0 { 10_000 } else { self.warmup };
                let timescale = self.arguments.timescale.unwrap_or(warmup) as f64;
                1.0 / ((since + timescale) / timescale).sqrt()
            }
            Scheduler::CosineWithMinLr => between(self.lowest(), self.cosine(progress)),
            Scheduler::CosineWarmupWithMinLr => between(self.lowest(), self.cosine((since + 1.0) / left)),
        }
    }

    /// Returns the lowest factor of the cosines with a lowest rate.
    fn lowest(&self) -> f64 {
        let of_rate = self.arguments.min_lr.map(|rate| rate / self.learning_rate);
        of_rate.or(self.arguments.min_lr_rate).unwrap_or(0.0)
    }

    fn cosine(&self, progress: f64) -> f64 {
        0.5 * (1.0 + (PI * self.arguments.num_cycles.unwrap_or(0.5) * 2.0 * progress).cos())
    }

    fn warmup_stable_decay(&self, step: usize) -> f64 {
        let lowest = self.arguments.min_lr_ratio.unwrap_or(0.0);
        let decay = self.arguments.num_decay_steps.unwrap_or(0) as f64;
        // It is negative if warm-up and decay overlap, and then the decay begins before the warm-up ends.
        let left = self.steps as f64 - self.warmup as f64 - decay;
        let fall = self.warmup as f64 + self.arguments.num_stable_steps.map_or(left, |steps| steps as f64);
        let fallen = step as f64 - fall;
        if step < self.warmup {
            let progress = step as f64 / self.warmup as f64;
            let risen = match self.arguments.warmup_type.unwrap_or(Curve::Linear) {
                Curve::Linear => progress,
                Curve::Cosine => 0.5 * (1.0 - (PI * progress).cos()),
                Curve::OneLessSqrt => 1.0 - (1.0 - progress).sqrt(),
            };
            between(lowest, risen)
        } else if fallen < 0.0 {
            1.0
        } else if fallen < decay {
            let progress = fallen / decay;
            let left = match self.arguments.decay_type.unwrap_or(Curve::Cosine) {
                Curve::Linear => 1.0 - progress,
                Curve::Cosine => self.cosine(progress),
                Curve::OneLessSqrt => 1.0 - progress.sqrt(),
            };
            between(lowest, left)
        } else {
            lowest
        }
    }
}

/// Maps a factor linearly: 0 to `lowest`, and 1 to 1.
fn between(lowest: f64, factor: f64) -> f64 {
    (factor * (1.0 - lowest) + lowest).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(scheduler: Scheduler, arguments: &str, warmup: f64, steps: usize) -> Result<Schedule, TrainError> {
        Schedule::new(scheduler, serde_json::from_str(arguments).unwrap(), 1.0, warmup.into(), steps)
    }

    fn rates(scheduler: Scheduler) -> Vec<f64> {
        let schedule = schedule(scheduler, "{}", 0.2, 10).unwrap();
        (0..10).map(|step| (schedule.rate(step) * 1e6).round() / 1e6).collect()
    }

    #[test]
    fn rates_are_those_of_hugging_face() {
        // The rates of transformers.get_linear_schedule_with_warmup(2, 10), and of the cosine one.
        assert_eq!(rates(Scheduler::Linear), [0.0, 0.5, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]);
        let cosine = [0.0, 0.5, 1.0, 0.96194, 0.853553, 0.691342, 0.5, 0.308658, 0.146447, 0.03806];
        assert_eq!(rates(Scheduler::Cosine), cosine);
        assert_eq!(rates(Scheduler::Constant), [1.0; 10]);
        assert_eq!(rates(Scheduler::ConstantWithWarmup), [0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn a_warm_up_may_begin_above_0_and_the_fall_end_in_the_last_step() {
        // The rates of transformers.get_cosine_with_min_lr_schedule_with_warmup_lr_rate(2, 6, min_lr_rate=0.2).
        let rates = |arguments: &str| -> Vec<f64> {
            let schedule = schedule(Scheduler::CosineWarmupWithMinLr, arguments, 2.0, 6).unwrap();
            (0..6).map(|step| (schedule.rate(step) * 1e6).round() / 1e6).collect()
        };
        assert_eq!(rates(r#"{"min_lr_rate": 0.2}"#), [0.5, 1.0, 0.882843, 0.6, 0.317157, 0.2]);
        assert_eq!(rates(r#"{"min_lr_rate": 0.2, "warmup_lr_rate": 0.3}"#)[..2], [0.3, 1.0]);
    }

    #[test]
    fn warm_up_is_a_share_rounded_up_or_steps_and_may_be_none() {
        assert_eq!(schedule(Scheduler::Linear, "{}", 0.01, 10).unwrap().rate(1), 1.0);
        assert_eq!(schedule(Scheduler::Linear, "{}", 4.0, 10).unwrap().rate(3), 0.75);
        assert_eq!(schedule(Scheduler::Linear, "{}", 0.0, 10).unwrap().rate(0), 1.0);
    }

    #[test]
    fn arguments_are_for_the_scheduler_that_takes_them() {
        let refused = |scheduler, arguments| schedule(scheduler, arguments, 0.0, 10).unwrap_err().to_string();
        assert_eq!(refused(Scheduler::Linear, r#"{"power": 2}"#), "`power` is not an argument of this scheduler");
        assert!(refused(Scheduler::CosineWithMinLr, "{}").starts_with("`min_lr` or"));
        assert!(refused(Scheduler::Polynomial, r#"{"lr_end": 2}"#).starts_with("`lr_end` must"));
        assert!(refused(Scheduler::WarmupStableDecay, "{}").starts_with("`num_decay_steps` must"));
        assert!(schedule(Scheduler::Linear, "{}", f64::NAN, 10).is_err());
    }

    #[test]
    fn a_fall_longer_than_what_is_left_has_begun_before() {
        // The rates of transformers.get_wsd_schedule(1, 2, num_training_steps=2, decay_type="1-sqrt").
        let schedule =
            schedule(Scheduler::WarmupStableDecay, r#"{"num_decay_steps": 2, "decay_type": "1-sqrt"}"#, 1.0, 2).unwrap();
        assert!((schedule.rate(1) - (1.0 - 0.5_f64.sqrt())).abs() < 1e-12, "{}", schedule.rate(1));
    }

    #[test]
    fn more_steps_of_warm_up_than_of_training_are_no_panic() {
        for scheduler in [Scheduler::Linear, Scheduler::Polynomial, Scheduler::CosineWithRestarts, Scheduler::InverseSqrt] {
            let rates: Vec<f64> = (0..5).map(|step| schedule(scheduler, "{}", 20.0, 4).unwrap().rate(step)).collect();
            assert_eq!(rates, [0.0, 0.05, 0.1, 0.15, 0.2]);
        }
    }
}
