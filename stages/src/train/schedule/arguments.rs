//! What a scheduler takes besides the warm-up, under transformers' names; one that it does not take is named.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Scheduler;

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

/// What is better: less of a figure or more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Less.
    #[default]
    Min,
    /// More.
    Max,
}

/// What a threshold is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ThresholdMode {
    /// A share of the best figure.
    #[default]
    Rel,
    /// A difference.
    Abs,
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
    /// Lowest rate of `cosine_with_min_lr` and `reduce_lr_on_plateau`.
    pub min_lr: Option<f64>,
    /// The same as a share of the highest rate.
    pub min_lr_rate: Option<f64>,
    /// Where the warm-up of `cosine_warmup_with_min_lr` begins, as a share of the highest rate [default: one step's share].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup_lr_rate: Option<f64>,
    /// Whether `reduce_lr_on_plateau` waits for less or for more of the figure [default: `min`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// What it multiplies the rate by [default: 0.1].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// Evaluations without a better one that it puts up with [default: 10].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// By how much one must be better to count [default: 1e-4].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Whether that is a share of the best figure or a difference [default: `rel`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold_mode: Option<ThresholdMode>,
    /// Evaluations that do not count after a fall [default: 0].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cooldown: Option<usize>,
    /// A fall by no more than this is none [default: 1e-8].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eps: Option<f64>,
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

impl SchedulerArguments {
    /// Names an argument that was given and that the scheduler does not take.
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
