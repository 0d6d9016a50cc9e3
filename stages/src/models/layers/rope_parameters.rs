//! Settings of rotary positions. Takes `rope_parameters` and the keys beside it; gives the rotary positions that they mean.

use serde::Deserialize;
use serde_json::Value;

use super::rotary::{Rope, Scaling};

/// The keys of `rope_parameters`. `rope_type` decides which of them are read.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RopeParameters {
    rope_type: Option<String>,
    /// The older name of `rope_type`.
    r#type: Option<String>,
    rope_theta: Option<f64>,
    partial_rotary_factor: Option<f64>,
    factor: Option<f64>,
    original_max_position_embeddings: Option<usize>,
    attention_factor: Option<f64>,
    beta_fast: Option<f64>,
    beta_slow: Option<f64>,
    mscale: Option<f64>,
    mscale_all_dim: Option<f64>,
    truncate: Option<bool>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    short_factor: Option<Vec<f64>>,
    long_factor: Option<Vec<f64>>,
}

/// Keys outside `rope_parameters` that rotary positions depend on.
pub(crate) struct Beside {
    pub(crate) rope_theta: Option<f64>,
    pub(crate) default_theta: f64,
    pub(crate) partial_rotary_factor: Option<f64>,
    /// The share of a head that is rotated by default; `None` if the architecture always rotates whole heads.
    pub(crate) default_partial: Option<f64>,
    pub(crate) original_max_position_embeddings: Option<usize>,
    pub(crate) max_position_embeddings: usize,
}

impl RopeParameters {
    pub(crate) fn read(given: Option<Value>, name: &str) -> Result<Self, String> {
        let parameters = given.map_or_else(|| Ok(Self::default()), serde_json::from_value);
        parameters.map_err(|error: serde_json::Error| format!("`{name}`: {error}"))
    }

    /// Combines the two spellings, and refuses keys that mean nothing for this type.
    pub(crate) fn settle(mut self, beside: &Beside) -> Result<Rope, String> {
        let kind = agree("rope_type", self.rope_type.take(), self.r#type.take())?.unwrap_or_else(|| "default".into());
        let theta = agree("rope_theta", self.rope_theta.take(), beside.rope_theta)?.unwrap_or(beside.default_theta);
        let partial = agree("partial_rotary_factor", self.partial_rotary_factor.take(), beside.partial_rotary_factor)?;
        let partial = match (partial, beside.default_partial) {
            (Some(given), None) if given != 1.0 => {
                return Err(format!("`partial_rotary_factor` is {given}, and this architecture turns heads whole"));
            }
            (given, default) => given.or(default).unwrap_or(1.0),
        };
        if partial > 1.0 {
            return Err(format!("`partial_rotary_factor` is {partial}, and must be at most 1"));
        }
        let positive = [("rope_theta", Some(theta)), ("partial_rotary_factor", Some(partial)), ("factor", self.factor)];
        for (name, value) in positive {
            if value.is_some_and(|value| !(value.is_finite() && value > 0.0)) {
                return Err(format!("`{name}` must be above 0"));
            }
        }
        let scaling = self.scaling(&kind, beside)?;
        if let Some(name) = self.left() {
            return Err(format!("`{name}` means nothing with `rope_type` `{kind}`"));
        }
        let max_position_embeddings = beside.max_position_embeddings;
        Ok(Rope { theta, partial_rotary_factor: partial, scaling, max_position_embeddings })
    }

    fn scaling(&mut self, kind: &str, beside: &Beside) -> Result<Scaling, String> {
        let needed = |name: &str, value: Option<f64>| value.ok_or_else(|| format!("`rope_type` `{kind}` needs `{name}`"));
        let mut original = || -> Result<usize, String> {
            let given = self.original_max_position_embeddings.take();
            let given = agree("original_max_position_embeddings", given, beside.original_max_position_embeddings)?;
            Ok(given.unwrap_or(beside.max_position_embeddings).max(1))
        };
        Ok(match kind {
            "default" => Scaling::Default,
            "linear" => Scaling::Linear { factor: needed("factor", self.factor.take())? },
            "dynamic" => Scaling::Dynamic { factor: needed("factor", self.factor.take())? },
            "yarn" => {
                let original_max_position_embeddings = original()?;
                Scaling::Yarn {
                    factor: self.factor.take(),
                    attention_factor: self.attention_factor.take(),
                    beta_fast: self.beta_fast.take().filter(|beta| *beta != 0.0).unwrap_or(32.0),
                    beta_slow: self.beta_slow.take().filter(|beta| *beta != 0.0).unwrap_or(1.0),
                    mscale: self.mscale.take(),
                    mscale_all_dim: self.mscale_all_dim.take(),
                    truncate: self.truncate.take().unwrap_or(true),
                    original_max_position_embeddings,
                }
            }
            "llama3" => {
                let original_max_position_embeddings = original()?;
                Scaling::Llama3 {
                    factor: needed("factor", self.factor.take())?,
                    low_freq_factor: needed("low_freq_factor", self.low_freq_factor.take())?,
                    high_freq_factor: needed("high_freq_factor", self.high_freq_factor.take())?,
                    original_max_position_embeddings,
                }
            }
            "longrope" => {
                let original_max_position_embeddings = original()?;
                self.longrope(original_max_position_embeddings, beside)?
            }
            other => {
                return Err(format!(
                    "`rope_type` `{other}` is not one of `default`, `linear`, `dynamic`, `yarn`, `llama3`, `longrope`"
                ));
            }
        })
    }

    fn longrope(&mut self, original_max_position_embeddings: usize, beside: &Beside) -> Result<Scaling, String> {
        let factors = |name: &str, given: Option<Vec<f64>>| {
            let factors = given.ok_or_else(|| format!("`rope_type` `longrope` needs `{name}`"))?;
            let positive = factors.iter().all(|factor| factor.is_finite() && *factor > 0.0);
            if positive { Ok(factors) } else { Err(format!("the factors of `{name}` must be above 0")) }
        };
        let original = original_max_position_embeddings as f64;
        let factor = self.factor.take().unwrap_or(beside.max_position_embeddings as f64 / original);
        let attention_factor = match self.attention_factor.take() {
            Some(given) => given,
            None if factor <= 1.0 => 1.0,
            None if original_max_position_embeddings > 1 => (1.0 + factor.ln() / original.ln()).sqrt(),
            None => return Err("`original_max_position_embeddings` must be above 1 with `rope_type` `longrope`".into()),
        };
        Ok(Scaling::Longrope {
            short_factor: factors("short_factor", self.short_factor.take())?,
            long_factor: factors("long_factor", self.long_factor.take())?,
            attention_factor,
            original_max_position_embeddings,
        })
    }

    /// Returns the name of a key that was not read, if there is one.
    fn left(&self) -> Option<&'static str> {
        let keys = [
            ("factor", self.factor.is_some()),
            ("original_max_position_embeddings", self.original_max_position_embeddings.is_some()),
            ("attention_factor", self.attention_factor.is_some()),
            ("beta_fast", self.beta_fast.is_some()),
            ("beta_slow", self.beta_slow.is_some()),
            ("mscale", self.mscale.is_some()),
            ("mscale_all_dim", self.mscale_all_dim.is_some()),
            ("truncate", self.truncate.is_some()),
            ("low_freq_factor", self.low_freq_factor.is_some()),
            ("high_freq_factor", self.high_freq_factor.is_some()),
            ("short_factor", self.short_factor.is_some()),
            ("long_factor", self.long_factor.is_some()),
        ];
        keys.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
    }
}

/// Returns one of two values of the same setting, which must be equal if both are given.
fn agree<T: PartialEq + std::fmt::Display>(name: &str, one: Option<T>, other: Option<T>) -> Result<Option<T>, String> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => Err(format!("`{name}` is given twice, as {one} and as {other}")),
        (one, other) => Ok(one.or(other)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rope(given: Value) -> Result<Rope, String> {
        let beside = Beside {
            rope_theta: None,
            default_theta: 10_000.0,
            partial_rotary_factor: None,
            default_partial: None,
            original_max_position_embeddings: None,
            max_position_embeddings: 256,
        };
        RopeParameters::read(Some(given), "rope_parameters")?.settle(&beside)
    }

    #[test]
    fn longrope_has_a_factor_for_each_pair_and_one_of_its_own_for_the_angles() {
        let lists = |short: &[f64], long: &[f64], original: usize| {
            json!({
                "rope_type": "longrope",
                "short_factor": short,
                "long_factor": long,
                "original_max_position_embeddings": original,
            })
        };
        let rope = |given| rope(given);
        let known = rope(lists(&[1.0, 2.0], &[3.0, 4.0], 32)).unwrap();
        let Scaling::Longrope { attention_factor, .. } = known.scaling else { panic!("{known:?}") };
        // √(1 + ln(256 / 32) / ln 32).
        assert!((attention_factor - 1.6_f64.sqrt()).abs() < 1e-12, "{attention_factor}");
        assert_eq!(known.fits(4), Ok(()));
        assert!(known.fits(6).unwrap_err().contains("`short_factor` has 2 factors for 3"));
        assert!(rope(lists(&[1.0, 0.0], &[3.0, 4.0], 32)).unwrap_err().contains("`short_factor` must be above 0"));
        assert!(rope(lists(&[1.0, 1.0], &[3.0, 4.0], 1)).unwrap_err().contains("must be above 1"));
        assert!(rope(json!({"rope_type": "longrope", "long_factor": [1.0]})).unwrap_err().contains("needs `short_factor`"));
        assert!(rope(json!({"short_factor": [1.0]})).unwrap_err().contains("`short_factor` means nothing"));
    }
}
