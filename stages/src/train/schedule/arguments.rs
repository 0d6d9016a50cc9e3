//! Arguments of schedulers besides the warm-up, under transformers' names (`lr_scheduler_kwargs`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Scheduler;

/// Shapes of the warm-up and the decay of [`Scheduler::WarmupStableDecay`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Curve {
    /// A straight line.
    Linear,
    /// Half a cosine.
    Cosine,
    /// `1 - sqrt`.
    #[serde(rename = "1-sqrt")]
    OneLessSqrt,
}

/// Whether a smaller or a larger metric is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A smaller one.
    #[default]
    Min,
    /// A larger one.
    Max,
}

/// How a threshold is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ThresholdMode {
    /// Relative to the best metric.
    #[default]
    Rel,
    /// Absolute.
    Abs,
}

/// Arguments of a scheduler: transformers' `lr_scheduler_kwargs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SchedulerArguments {
    /// Waves of a cosine [default: a half], or restarts [default: 1].
    pub num_cycles: Option<f64>,
    /// Rate at the end of `polynomial` [default: 1e-7].
    pub lr_end: Option<f64>,
    /// Degree of `polynomial` [default: 1].
    pub power: Option<f64>,
    /// Steps in which `inverse_sqrt` decays to 0.71 of the highest rate [default: those of the warm-up, or 10 000].
    pub timescale: Option<usize>,
    /// Lowest rate of `cosine_with_min_lr` and `reduce_lr_on_plateau`.
    pub min_lr: Option<f64>,
    /// The same as a factor of the highest rate.
    pub min_lr_rate: Option<f64>,
    /// First rate of `cosine_warmup_with_min_lr`, as a factor of the highest rate [default: one step of the warm-up].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup_lr_rate: Option<f64>,
    /// Whether a smaller or a larger metric is better for `reduce_lr_on_plateau` [default: `min`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Factor of its decay [default: 0.1].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// Evaluations without an improvement before it decays [default: 10].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// Smallest improvement that counts [default: 1e-4].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Whether the threshold is relative to the best metric or absolute [default: `rel`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold_mode: Option<ThresholdMode>,
    /// Evaluations after a decay that do not count [default: 0].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cooldown: Option<usize>,
    /// Smallest decay; smaller ones are ignored [default: 1e-8].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eps: Option<f64>,
    /// Steps of the decay of `warmup_stable_decay`.
    pub num_decay_steps: Option<usize>,
    /// Steps with its highest rate [default: those between warm-up and decay].
    pub num_stable_steps: Option<usize>,
    /// Shape of its warm-up [default: linear].
    pub warmup_type: Option<Curve>,
    /// Shape of its decay [default: cosine].
    pub decay_type: Option<Curve>,
    /// Its lowest rate as a factor of the highest [default: 0].
    pub min_lr_ratio: Option<f64>,
}

impl SchedulerArguments {
    /// Returns the name of an argument that is given and that the scheduler does not have.
    pub(crate) fn unknown(&self, scheduler: Scheduler) -> Option<&'static str> {
        use Scheduler::{
            Cosine, CosineWarmupWithMinLr, CosineWithMinLr, CosineWithRestarts, InverseSqrt, Polynomial, ReduceLrOnPlateau,
            WarmupStableDecay,
        };
        let given = self;
        let cosines = [Cosine, CosineWithRestarts, CosineWithMinLr, CosineWarmupWithMinLr, WarmupStableDecay];
        let arguments: [(&'static str, bool, &[Scheduler]); 19] = [
            ("num_cycles", given.num_cycles.is_some(), &cosines),
            ("lr_end", given.lr_end.is_some(), &[Polynomial]),
            ("power", given.power.is_some(), &[Polynomial]),
            ("timescale", given.timescale.is_some(), &[InverseSqrt]),
            ("min_lr", given.min_lr.is_some(), &[CosineWithMinLr, CosineWarmupWithMinLr, ReduceLrOnPlateau]),
            ("min_lr_rate", given.min_lr_rate.is_some(), &[CosineWithMinLr, CosineWarmupWithMinLr]),
            ("warmup_lr_rate", given.warmup_lr_rate.is_some(), &[CosineWarmupWithMinLr]),
            ("num_decay_steps", given.num_decay_steps.is_some(), &[WarmupStableDecay]),
            ("num_stable_steps", given.num_stable_steps.is_some(), &[WarmupStableDecay]),
            ("warmup_type", given.warmup_type.is_some(), &[WarmupStableDecay]),
            ("decay_type", given.decay_type.is_some(), &[WarmupStableDecay]),
            ("min_lr_ratio", given.min_lr_ratio.is_some(), &[WarmupStableDecay]),
            ("mode", given.mode.is_some(), &[ReduceLrOnPlateau]),
            ("factor", given.factor.is_some(), &[ReduceLrOnPlateau]),
            ("patience", given.patience.is_some(), &[ReduceLrOnPlateau]),
            ("threshold", given.threshold.is_some(), &[ReduceLrOnPlateau]),
            ("threshold_mode", given.threshold_mode.is_some(), &[ReduceLrOnPlateau]),
            ("cooldown", given.cooldown.is_some(), &[ReduceLrOnPlateau]),
            ("eps", given.eps.is_some(), &[ReduceLrOnPlateau]),
        ];
        arguments.into_iter().find(|(_, given, takers)| *given && !takers.contains(&scheduler)).map(|(name, ..)| name)
    }
}
