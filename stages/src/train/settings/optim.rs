//! TRL's spelling of the optimiser: its word and its numbers, each in a separate entry. Takes these entries; gives an optimiser.

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::train::optimizer::Optimizer;

/// The entries that are read so far. They may come in any order, so they are applied once all are there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Optim {
    pub(super) word: Word,
    pub(super) adam_beta1: Number,
    pub(super) adam_beta2: Number,
    pub(super) adam_epsilon: Number,
    pub(super) weight_decay: Number,
}

/// The settings that a word of transformers' `optim` stands for, if there is one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Word(Option<Optimizer>);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        let known = Optimizer::optim_words().into_iter().find(|(known, _)| *known == word);
        known.map(|(_, optimizer)| Self(Some(optimizer))).ok_or_else(|| {
            let words: Vec<_> = Optimizer::optim_words().iter().map(|(word, _)| format!("`{word}`")).collect();
            D::Error::custom(format_args!("unknown optimizer `{word}`, expected one of {}", words.join(", ")))
        })
    }
}

/// A number that may be given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(from = "f64")]
pub(super) struct Number(Option<f64>);

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Self(Some(number))
    }
}

impl Optim {
    /// Applies the entries to the settings of the optimiser. If they name another optimiser, it begins with its own defaults.
    pub(super) fn apply(self, optimizer: &mut Optimizer) -> Result<(), String> {
        let Self { word, adam_beta1, adam_beta2, adam_epsilon, weight_decay } = self;
        if let Word(Some(named)) = word
            && named.name() != optimizer.name()
        {
            *optimizer = named;
        }
        let numbers = [
            ("adam_beta1", adam_beta1),
            ("adam_beta2", adam_beta2),
            ("adam_epsilon", adam_epsilon),
            ("weight_decay", weight_decay),
        ];
        for (name, Number(number)) in numbers {
            if let Some(number) = number {
                let optimizer_name = optimizer.name();
                *optimizer.trl_number(name).ok_or_else(|| format!("`{name}` is no setting of `{optimizer_name}`"))? = number;
            }
        }
        Ok(())
    }
}
