//! What a run may spend. Money is in integer nano-dollars.

use std::{
    str::FromStr,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::error::StageError;

/// Nano-dollars in a dollar.
const NANO: f64 = 1e9;

/// What the next call may cost at worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Price {
    /// Nothing.
    Free,
    /// At most so many nano-dollars.
    AtMost(u64),
    /// Nobody knows; never taken as nothing.
    Unknown,
}

/// The ceiling that `--budget` sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Nothing was said: a call that costs is refused.
    Unset,
    /// `none`: whatever it costs.
    Unlimited,
    /// At most so many nano-dollars.
    AtMost(u64),
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::Unlimited);
        }
        match text.trim_start_matches('$').parse::<f64>() {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a float that is too large saturates, and negative ones do not come here"
            )]
            Ok(dollars) if dollars.is_finite() && dollars >= 0.0 => Ok(Self::AtMost((dollars * NANO).round() as u64)),
            _ => Err(format!("`{text}` is no amount of dollars: give a number such as 2.50, or `none`")),
        }
    }
}

/// The run's ceiling and what is spent or in flight.
pub(crate) struct Budget {
    limit: Limit,
    spent: AtomicU64,
}

impl Budget {
    pub(crate) fn new(limit: Limit) -> Self {
        Self { limit, spent: AtomicU64::new(0) }
    }

    /// Counts a call's worst case before it starts, or refuses it.
    pub(crate) fn reserve(&self, price: Price) -> Result<(), StageError> {
        let cost = match (price, self.limit) {
            (Price::Free, _) | (_, Limit::Unlimited) => return Ok(()),
            (_, Limit::Unset) => {
                return Err(StageError::OverBudget(
                    "the run would pay for calls and has no budget: give `--budget USD`, or `--budget none`".to_owned(),
                ));
            }
            (Price::Unknown, Limit::AtMost(_)) => {
                return Err(StageError::OverBudget(
                    "the price of a call is unknown, so no budget can hold it: add the model to `prices:`, or give `--budget none`".to_owned(),
                ));
            }
            (Price::AtMost(cost), Limit::AtMost(_)) => cost,
        };
        let Limit::AtMost(limit) = self.limit else { return Ok(()) };
        self.spent
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |spent| spent.checked_add(cost).filter(|sum| *sum <= limit))
            .map(drop)
            .map_err(|spent| {
                #[expect(clippy::cast_precision_loss, reason = "for people")]
                let dollars = |nano: u64| nano as f64 / NANO;
                StageError::OverBudget(format!(
                    "the next call may cost ${:.4} and ${:.4} of ${:.4} are spent; what was bought is kept",
                    dollars(cost),
                    dollars(spent),
                    dollars(limit)
                ))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ceiling_holds_what_is_in_flight() {
        let budget = Budget::new("0.000000010".parse().unwrap());
        budget.reserve(Price::AtMost(6)).unwrap();
        budget.reserve(Price::Free).unwrap();
        assert!(budget.reserve(Price::AtMost(5)).is_err());
        budget.reserve(Price::AtMost(4)).unwrap();
        assert!(budget.reserve(Price::Unknown).is_err());
    }

    #[test]
    fn no_budget_refuses_what_costs_and_none_allows_it() {
        assert!(Budget::new(Limit::Unset).reserve(Price::AtMost(1)).is_err());
        assert!(Budget::new("none".parse().unwrap()).reserve(Price::Unknown).is_ok());
        assert!("-1".parse::<Limit>().is_err());
    }
}
