//! `init_lora_weights`: how an adapter's factors are initialised. Takes a name, a shape and random numbers; gives values.
//!
//! PEFT's other ways (`PiSSA`, `OLoRA`, `CorDA`, …) subtract a part from the base, so that an adapter does not fit the published base.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::random::Random;

/// How an adapter's factors are initialised. A new adapter changes no output, except with [`InitLoraWeights::Random`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InitLoraWeights {
    /// `true`: the first factor as `PyTorch` draws a linear layer's, the second 0.
    #[default]
    Kaiming,
    /// `false`: both factors as `PyTorch` draws a linear layer's.
    Random,
    /// `gaussian`: the first factor from a normal distribution whose standard deviation is one over the rank, the second 0.
    Gaussian,
    /// `orthogonal`: orthogonal factors, whose product is 0. It is read in trained adapters, and not drawn.
    Orthogonal,
}

impl InitLoraWeights {
    /// Draws the first factor, `[rank, in]`.
    pub(crate) fn first(self, [rank, into]: [usize; 2], random: &mut Random) -> Vec<f32> {
        match self {
            Self::Gaussian => (0..rank * into).map(|_| (random.normal() / rank as f64) as f32).collect(),
            Self::Kaiming | Self::Random | Self::Orthogonal => kaiming([rank, into], random),
        }
    }

    /// Draws the second factor, `[out, rank]`.
    pub(crate) fn second(self, shape: [usize; 2], random: &mut Random) -> Vec<f32> {
        match self {
            Self::Random => kaiming(shape, random),
            Self::Kaiming | Self::Gaussian | Self::Orthogonal => vec![0.0; shape[0] * shape[1]],
        }
    }
}

/// Draws as `PyTorch`'s `kaiming_uniform_` with a = √5: uniformly within ± one over the root of the width.
fn kaiming([height, width]: [usize; 2], random: &mut Random) -> Vec<f32> {
    let bound = (width as f64).sqrt().recip();
    (0..height * width).map(|_| ((2.0 * random.uniform() - 1.0) * bound) as f32).collect()
}

impl Serialize for InitLoraWeights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Kaiming => serializer.serialize_bool(true),
            Self::Random => serializer.serialize_bool(false),
            Self::Gaussian => serializer.serialize_str("gaussian"),
            Self::Orthogonal => serializer.serialize_str("orthogonal"),
        }
    }
}

impl<'de> Deserialize<'de> for InitLoraWeights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = InitLoraWeights;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("`true`, `false`, `gaussian` or `orthogonal`")
            }
            fn visit_bool<E: serde::de::Error>(self, usual: bool) -> Result<InitLoraWeights, E> {
                Ok(if usual { InitLoraWeights::Kaiming } else { InitLoraWeights::Random })
            }
            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<InitLoraWeights, E> {
                match name.to_ascii_lowercase().as_str() {
                    "gaussian" => Ok(InitLoraWeights::Gaussian),
                    "orthogonal" => Ok(InitLoraWeights::Orthogonal),
                    _ => Err(E::custom(format_args!(
                        "`init_lora_weights` is `{name}`, which changes the base; it can be `true`, `false`, `gaussian` or `orthogonal`"
                    ))),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for InitLoraWeights {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "InitLoraWeights".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": [true, false, "gaussian", "orthogonal"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_as_wide_as_those_of_peft() {
        let mut random = Random::new(1, "factors");
        let spread =
            |values: &[f32]| (values.iter().map(|value| f64::from(value * value)).sum::<f64>() / values.len() as f64).sqrt();
        // The standard deviation of a uniform distribution within ± b is b / √3.
        let usual = 1.0 / (3.0 * 64.0_f64).sqrt();
        for (init, first, second) in [
            (InitLoraWeights::Kaiming, usual, 0.0),
            (InitLoraWeights::Random, usual, 1.0 / (3.0 * 8.0_f64).sqrt()),
            (InitLoraWeights::Gaussian, 1.0 / 8.0, 0.0),
        ] {
            let found = [spread(&init.first([8, 64], &mut random)), spread(&init.second([512, 8], &mut random))];
            assert!((found[0] / first - 1.0).abs() < 0.1, "{init:?}: {found:?}");
            assert!((found[1] - second).abs() <= 0.1 * second, "{init:?}: {found:?}");
        }
    }

    #[test]
    fn what_changes_the_base_is_refused_by_name() {
        let error = serde_json::from_str::<InitLoraWeights>("\"pissa_niter_4\"").unwrap_err().to_string();
        assert!(error.contains("`init_lora_weights` is `pissa_niter_4`"), "{error}");
        for text in ["true", "false", "\"gaussian\"", "\"orthogonal\""] {
            let init: InitLoraWeights = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&init).unwrap(), text);
        }
    }
}
