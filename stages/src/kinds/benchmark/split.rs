//! Splits. Takes a question's text and the splits' sizes; gives the split, which depends on nothing else.

use engine::fingerprint;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rows::Split;

/// Shares of the splits; they add up to one.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Shares {
    pub train: f64,
    pub validation: f64,
    pub test: f64,
}

impl Default for Shares {
    fn default() -> Self {
        Self { train: 0.8, validation: 0.0, test: 0.2 }
    }
}

/// Returns the split of a question by its normalised text.
pub(crate) fn split(normalised: &str, shares: &Shares) -> Split {
    let at = fraction(normalised);
    if at < shares.train {
        Split::Train
    } else if at < shares.train + shares.validation {
        Split::Validation
    } else {
        Split::Test
    }
}

/// Returns a number in [0, 1) that depends on the text alone.
fn fraction(text: &str) -> f64 {
    let head = u32::from_str_radix(&fingerprint(text)[..8], 16).expect("a fingerprint is hexadecimal");
    f64::from(head) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::duplicates::normalised;

    #[test]
    fn equal_questions_are_in_one_split_and_shares_are_kept() {
        let shares = Shares { train: 0.5, validation: 0.25, test: 0.25 };
        let mut counts = BTreeMap::new();
        for number in 0..4000 {
            *counts.entry(split(&normalised(&format!("What is {number}?")), &shares)).or_insert(0) += 1;
        }
        assert!((1900..2100).contains(&counts[&Split::Train]), "{counts:?}");
        assert!((900..1100).contains(&counts[&Split::Validation]), "{counts:?}");
        assert_eq!(normalised("What  is\nTHIS?"), normalised("what is this?"));
    }
}
