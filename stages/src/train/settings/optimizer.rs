//! The optimiser's settings, and how its rate begins. Keys hold both under TRL's names, as when these were the only ones.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeMap as _};

/// Settings of the optimiser.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Optimizer {
    /// Which.
    pub name: OptimizerName,
    /// Decays of the averages of gradients and of squared gradients.
    pub betas: [f64; 2],
    /// Added to the root of the squared gradients' average.
    pub eps: f64,
    /// Decay of matrices; biases and norms do not decay.
    pub weight_decay: f64,
}

impl Default for Optimizer {
    fn default() -> Self {
        Self { name: OptimizerName::Adamw, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0 }
    }
}

impl Serialize for Optimizer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { name: OptimizerName::Adamw, betas: [beta1, beta2], eps, weight_decay } = self;
        let mut map = serializer.serialize_map(Some(4))?;
        for (name, value) in [("adam_beta1", beta1), ("adam_beta2", beta2), ("adam_epsilon", eps), ("weight_decay", weight_decay)]
        {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// The optimisers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerName {
    /// Adam with decoupled weight decay.
    Adamw,
}

/// Steps in which the rate rises from 0: a number of them, or a share of all, rounded up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Warmup {
    /// A share of all steps.
    #[serde(rename = "warmup_ratio")]
    pub ratio: f64,
    /// A number of steps, which wins.
    #[serde(rename = "warmup_steps")]
    pub steps: Option<usize>,
}

impl Warmup {
    /// Returns the number of steps among so many.
    #[must_use]
    pub fn among(self, steps: usize) -> usize {
        self.steps.unwrap_or((self.ratio * steps as f64).ceil() as usize)
    }
}

/// A number below 1 is a share, other ones are steps.
impl From<f64> for Warmup {
    fn from(number: f64) -> Self {
        if number >= 1.0 { Self { ratio: 0.0, steps: Some(number as usize) } } else { Self { ratio: number, steps: None } }
    }
}

impl<'de> Deserialize<'de> for Warmup {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer).map(Self::from)
    }
}
