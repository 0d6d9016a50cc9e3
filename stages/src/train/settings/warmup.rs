//! The warm-up of the learning rate. Takes a number of steps or a share; gives the number of its steps.

use serde::{Deserialize, Deserializer, Serialize};

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
    /// Returns the number of warm-up steps in a training of `steps` steps.
    #[must_use]
    pub fn among(self, steps: usize) -> usize {
        self.steps.unwrap_or((self.ratio * steps as f64).ceil() as usize)
    }
}

/// Converts a number: below 1 it is a share, else a number of steps.
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
