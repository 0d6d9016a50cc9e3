//! The learning rate of each step: settings and a step's number in, a rate out, as transformers' `get_scheduler` gives it.

use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TrainError;
use super::settings::Warmup;

/// How the rate goes after the warm-up, under transformers' names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scheduler {
    /// Along a straight line to 0.
    #[default]
    Linear,
    /// Along `num_cycles` waves of a cosine; by default half a wave, to 0.
    Cosine,
    /// Along half a cosine to 0, `num_cycles` times.
    CosineWithRestarts,
    /// To `lr_end`, along a polynomial of degree `power`.
    Polynomial,
    /// Never changes, and has no warm-up.
    Constant,
    /// Does not change after the warm-up.
    ConstantWithWarmup,
    /// Falls with the square root of the steps.
    InverseSqrt,
    /// Along half a cosine to `min_lr`, or to the share `min_lr_rate` of the highest rate.
    CosineWithMinLr,
    /// Stays, and falls in the last `num_decay_steps` to the share `min_lr_ratio`.
    WarmupStableDecay,
}

/// How a part of [`Scheduler::WarmupStableDecay`] rises or falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Curve {
    /// A straight line.
    Linear,
    /// Half a cosine.
    Cosine,
    /// One less the square root.
    #[serde(rename = "1-sqrt")]
    OneLessSqrt,
}

/// What a scheduler takes besides the warm-up: transformers' `lr_scheduler_kwargs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SchedulerArguments {
    /// Waves of a cosine [default: a half], or restarts [default: 1].
    pub num_cycles: Option<f64>,
    /// Rate at the end of `polynomial` [default: 1e-7].
    pub lr_end: Option<f64>,
    /// Degree of `polynomial` [default: 1].
    pub power: Option<f64>,
    /// Steps in which `inverse_sqrt` falls to 0.71 of the highest rate [default: as many as warm up, or 10 000].
    pub timescale: Option<usize>,
    /// Lowest rate of `cosine_with_min_lr`.
    pub min_lr: Option<f64>,
    /// The same as a share of the highest rate.
    pub min_lr_rate: Option<f64>,
    /// Steps in which `warmup_stable_decay` falls.
    pub num_decay_steps: Option<usize>,
    /// Steps in which it stays [default: what warm-up and decay leave].
    pub num_stable_steps: Option<usize>,
    /// How it rises [default: linear].
    pub warmup_type: Option<Curve>,
    /// How it falls [default: cosine].
    pub decay_type: Option<Curve>,
    /// Its lowest rate as a share of the highest [default: 0].
    pub min_lr_ratio: Option<f64>,
}

/// A schedule laid out over the steps of one training.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    scheduler: Scheduler,
    arguments: SchedulerArguments,
    learning_rate: f64,
    warmup: usize,
    steps: usize,
}

impl Schedule {
    /// Lays a schedule out.
    ///
    /// # Errors
    /// A rate or warm-up out of range, and arguments that the scheduler lacks or does not know.
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
        if let Some(name) = schedule.unknown() {
            return refuse(name, "is no argument of this scheduler");
        }
        match scheduler {
            Scheduler::Polynomial if learning_rate <= schedule.lr_end() => refuse("lr_end", "must be below the learning rate"),
            Scheduler::InverseSqrt if arguments.timescale == Some(0) => refuse("timescale", "must be at least 1"),
            Scheduler::CosineWithMinLr if arguments.min_lr.is_some() == arguments.min_lr_rate.is_some() => {
                refuse("min_lr", "or `min_lr_rate` must be given, one of the two")
            }
            Scheduler::WarmupStableDecay if arguments.num_decay_steps.is_none() => refuse("num_decay_steps", "must be given"),
            _ => Ok(schedule),
        }
    }

    /// Returns the rate in force during a step, counted from 0.
    #[must_use]
    pub fn rate(&self, step: usize) -> f64 {
        self.learning_rate * self.factor(step)
    }

    /// An argument that was given and that the scheduler does not take.
    fn unknown(&self) -> Option<&'static str> {
        use Scheduler::{Cosine, CosineWithMinLr, CosineWithRestarts, InverseSqrt, Polynomial, WarmupStableDecay};
        let given = &self.arguments;
        let arguments: [(&'static str, bool, &[Scheduler]); 11] = [
            ("num_cycles", given.num_cycles.is_some(), &[Cosine, CosineWithRestarts, CosineWithMinLr, WarmupStableDecay]),
            ("lr_end", given.lr_end.is_some(), &[Polynomial]),
            ("power", given.power.is_some(), &[Polynomial]),
            ("timescale", given.timescale.is_some(), &[InverseSqrt]),
            ("min_lr", given.min_lr.is_some(), &[CosineWithMinLr]),
            ("min_lr_rate", given.min_lr_rate.is_some(), &[CosineWithMinLr]),
            ("num_decay_steps", given.num_decay_steps.is_some(), &[WarmupStableDecay]),
            ("num_stable_steps", given.num_stable_steps.is_some(), &[WarmupStableDecay]),
            ("warmup_type", given.warmup_type.is_some(), &[WarmupStableDecay]),
            ("decay_type", given.decay_type.is_some(), &[WarmupStableDecay]),
            ("min_lr_ratio", given.min_lr_ratio.is_some(), &[WarmupStableDecay]),
        ];
        arguments.into_iter().find(|(_, given, takers)| *given && !takers.contains(&self.scheduler)).map(|(name, ..)| name)
    }

    fn lr_end(&self) -> f64 {
        self.arguments.lr_end.unwrap_or(1e-7)
    }

    /// The share of the highest rate.
    fn factor(&self, step: usize) -> f64 {
        if self.scheduler == Scheduler::WarmupStableDecay {
            return self.warmup_stable_decay(step);
        }
        if self.scheduler != Scheduler::Constant && step < self.warmup {
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
            Scheduler::Constant | Scheduler::ConstantWithWarmup | Scheduler::WarmupStableDecay => 1.0,
            Scheduler::InverseSqrt => {
                let warmup = if self.warmup == 0 { 10_000 } else { self.warmup };
                let timescale = self.arguments.timescale.unwrap_or(warmup) as f64;
                1.0 / ((since + timescale) / timescale).sqrt()
            }
            Scheduler::CosineWithMinLr => {
                let lowest = self.arguments.min_lr.map(|rate| rate / self.learning_rate).or(self.arguments.min_lr_rate);
                between(lowest.unwrap_or(0.0), self.cosine(progress))
            }
        }
    }

    fn cosine(&self, progress: f64) -> f64 {
        0.5 * (1.0 + (PI * self.arguments.num_cycles.unwrap_or(0.5) * 2.0 * progress).cos())
    }

    fn warmup_stable_decay(&self, step: usize) -> f64 {
        let lowest = self.arguments.min_lr_ratio.unwrap_or(0.0);
        let decay = self.arguments.num_decay_steps.unwrap_or(0);
        let left = self.steps.saturating_sub(self.warmup).saturating_sub(decay);
        let fall = self.warmup + self.arguments.num_stable_steps.unwrap_or(left);
        if step < self.warmup {
            let progress = step as f64 / self.warmup as f64;
            let risen = match self.arguments.warmup_type.unwrap_or(Curve::Linear) {
                Curve::Linear => progress,
                Curve::Cosine => 0.5 * (1.0 - (PI * progress).cos()),
                Curve::OneLessSqrt => 1.0 - (1.0 - progress).sqrt(),
            };
            between(lowest, risen)
        } else if step < fall {
            1.0
        } else if step < fall + decay {
            let progress = (step - fall) as f64 / decay as f64;
            let fallen = match self.arguments.decay_type.unwrap_or(Curve::Cosine) {
                Curve::Linear => 1.0 - progress,
                Curve::Cosine => self.cosine(progress),
                Curve::OneLessSqrt => 1.0 - progress.sqrt(),
            };
            between(lowest, fallen)
        } else {
            lowest
        }
    }
}

/// `lowest` at 0, and 1 at 1.
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
        // transformers.get_linear_schedule_with_warmup(2, 10), and the cosine one.
        assert_eq!(rates(Scheduler::Linear), [0.0, 0.5, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]);
        let cosine = [0.0, 0.5, 1.0, 0.96194, 0.853553, 0.691342, 0.5, 0.308658, 0.146447, 0.03806];
        assert_eq!(rates(Scheduler::Cosine), cosine);
        assert_eq!(rates(Scheduler::Constant), [1.0; 10]);
        assert_eq!(rates(Scheduler::ConstantWithWarmup), [0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
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
        assert_eq!(refused(Scheduler::Linear, r#"{"power": 2}"#), "`power` is no argument of this scheduler");
        assert!(refused(Scheduler::CosineWithMinLr, "{}").starts_with("`min_lr` or"));
        assert!(refused(Scheduler::Polynomial, r#"{"lr_end": 2}"#).starts_with("`lr_end` must"));
        assert!(refused(Scheduler::WarmupStableDecay, "{}").starts_with("`num_decay_steps` must"));
        assert!(schedule(Scheduler::Linear, "{}", f64::NAN, 10).is_err());
    }

    #[test]
    fn more_steps_of_warm_up_than_of_training_are_no_panic() {
        for scheduler in [Scheduler::Linear, Scheduler::Polynomial, Scheduler::CosineWithRestarts, Scheduler::InverseSqrt] {
            let rates: Vec<f64> = (0..5).map(|step| schedule(scheduler, "{}", 20.0, 4).unwrap().rate(step)).collect();
            assert_eq!(rates, [0.0, 0.05, 0.1, 0.15, 0.2]);
        }
    }
}
