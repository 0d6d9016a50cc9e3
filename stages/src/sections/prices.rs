//! The section `prices`. Takes YAML; gives what a model's tokens cost, in dollars per million, with a source and a date.

use std::collections::BTreeMap;

use engine::{ParamMistake, Section};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::providers::Mode;
use crate::rows::Usage;

/// Prices by `provider/name`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Prices(pub BTreeMap<String, TokenPrice>);

/// Dollars per million tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenPrice {
    /// Price of tokens of the prompt.
    pub input: f64,
    /// Price of tokens of the answer.
    pub output: f64,
    /// Price of tokens of hidden reasoning [default: `output`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<f64>,
    /// Of a prompt that the provider had cached; as the prompt's where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<f64>,
    /// Price of tokens that the provider writes to its cache [default: `input`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<f64>,
    /// What a call in a batch costs, as a share of the same call by itself; the same where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<f64>,
    /// Source of the price.
    pub source: String,
    /// Date on which the price was read there.
    pub date: String,
}

const MILLION: f64 = 1e6;
const NANO: f64 = 1e9;

impl TokenPrice {
    /// Returns the cost of a usage in dollars.
    #[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^52")]
    pub(crate) fn cost(&self, usage: &Usage) -> f64 {
        let fresh = usage.input.saturating_sub(usage.cached + usage.cache_write) as f64;
        let dollars = fresh * self.input
            + usage.cache_write as f64 * self.cache_write.unwrap_or(self.input)
            + usage.cached as f64 * self.cached.unwrap_or(self.input)
            + usage.output as f64 * self.output
            + usage.thinking as f64 * self.thinking.unwrap_or(self.output);
        dollars / MILLION
    }

    /// Returns the price of calls that are made in a mode.
    pub(crate) fn of_mode(&self, mode: Mode) -> Self {
        let share = if mode == Mode::Batch { self.batch.unwrap_or(1.0) } else { 1.0 };
        Self {
            input: self.input * share,
            output: self.output * share,
            thinking: self.thinking.map(|price| price * share),
            cached: self.cached.map(|price| price * share),
            cache_write: self.cache_write.map(|price| price * share),
            ..self.clone()
        }
    }

    /// Returns the cost of a usage in nano-dollars.
    pub(crate) fn nano_dollars(&self, usage: &Usage) -> u64 {
        (self.cost(usage) * NANO).round() as u64
    }

    /// Returns the highest cost, in nano-dollars, of `input` tokens of a prompt and `output` tokens of an answer, including reasoning.
    pub(crate) fn worst(&self, input: u64, output: u64) -> u64 {
        let dearest = |price: f64, other: Option<f64>| other.unwrap_or(price).max(price);
        let prompt = dearest(dearest(self.input, self.cache_write), self.cached);
        let dollars = (input as f64 * prompt + output as f64 * dearest(self.output, self.thinking)) / MILLION;
        (dollars * NANO).ceil() as u64
    }
}

impl Prices {
    /// Returns the price of a provider's model, if it is known.
    pub(crate) fn get(&self, provider: &str, model: &str) -> Option<&TokenPrice> {
        self.0.get(&format!("{provider}/{model}"))
    }
}

impl Section for Prices {
    const NAME: &'static str = "prices";

    fn mistakes(&self) -> Vec<ParamMistake> {
        let wrong = |price: &TokenPrice| {
            let amounts = [Some(price.input), Some(price.output), price.thinking, price.cached, price.cache_write, price.batch];
            amounts.into_iter().flatten().any(|amount| amount < 0.0)
        };
        self.0
            .iter()
            .filter(|(_, price)| wrong(price))
            .map(|(name, _)| ParamMistake {
                field: vec![name.clone()],
                message: format!("a price of `{name}` must not be negative"),
                help: "give dollars per million tokens".to_owned(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_tokens_are_part_of_the_input_and_thinking_counts_as_output() {
        let price = TokenPrice {
            input: 2.0,
            output: 10.0,
            thinking: None,
            cached: Some(0.5),
            cache_write: None,
            batch: None,
            source: String::new(),
            date: String::new(),
        };
        let usage = Usage { input: 1_000_000, cached: 400_000, output: 100_000, thinking: 100_000, ..Usage::default() };
        assert!((price.cost(&usage) - (1.2 + 0.2 + 1.0 + 1.0)).abs() < 1e-12);
    }
}
