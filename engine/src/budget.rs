//! Budgets. Takes the highest possible price of a call; gives permission to make the call, if it fits. Money is in integer nano-dollars.

use std::{
    fmt,
    str::FromStr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::contract::error::StageError;

/// Nano-dollars in a dollar.
const NANO: f64 = 1e9;

/// The highest possible price of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Price {
    /// Nothing.
    Free,
    /// At most so many nano-dollars.
    AtMost(u64),
    /// Unknown, which is never taken for free.
    Unknown,
}

/// The limit that `--budget` sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// No limit was given: a call that costs is refused.
    Unset,
    /// `none`: calls may cost whatever they cost.
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
            _ => Err(format!("`{text}` is not an amount in dollars: give a number such as 2.50, or `none`")),
        }
    }
}

/// A limit, what is spent, and the highest possible price of the running calls.
pub(crate) struct Budget {
    purse: Mutex<Purse>,
    changed: Notify,
}

#[derive(Clone, Copy)]
struct Purse {
    limit: Limit,
    spent: u64,
    held: u64,
}

enum Fit {
    Fits(u64),
    Later,
}

impl Budget {
    pub(crate) fn new(limit: Limit) -> Self {
        Self { purse: Mutex::new(Purse { limit, spent: 0, held: 0 }), changed: Notify::new() }
    }

    /// Returns whether it limits what is spent.
    pub(crate) fn is_limited(&self) -> bool {
        matches!(self.purse().limit, Limit::AtMost(_))
    }

    /// Returns whether no limit was given, not even `none`.
    pub(crate) fn is_unset(&self) -> bool {
        self.purse().limit == Limit::Unset
    }

    /// Sets the limit that a person gave during the run.
    pub(crate) fn set(&self, limit: Limit) {
        self.purse().limit = limit;
        self.changed.notify_waiters();
    }

    /// Returns how many nano-dollars were paid.
    pub(crate) fn spent(&self) -> u64 {
        self.purse().spent
    }

    /// Reserves the highest possible price of a call before it starts. A call that does not fit waits for the running calls, which
    /// mostly cost less than they might; it is refused when there is none to wait for.
    ///
    /// Where the call is `covered` by another budget, this one may be unset.
    pub(crate) async fn hold(&self, price: Price, covered: bool) -> Result<Hold<'_>, StageError> {
        loop {
            let changed = self.changed.notified();
            match self.fit(price, covered)? {
                Fit::Fits(cost) => return Ok(Hold { budget: self, cost }),
                Fit::Later => changed.await,
            }
        }
    }

    fn fit(&self, price: Price, covered: bool) -> Result<Fit, StageError> {
        let mut purse = self.purse();
        let cost = match (price, purse.limit) {
            (Price::Free, _) => return Ok(Fit::Fits(0)),
            (_, Limit::Unset) if !covered => {
                return Err(StageError::over_budget(
                    "the run would pay for calls and has no budget: give `--budget USD`, or `--budget none`".to_owned(),
                ));
            }
            (Price::Unknown, Limit::AtMost(_)) => {
                return Err(StageError::over_budget(
                    "the price of a call is unknown, so no budget can cover it: add the model to `prices:`, or give `--budget none`".to_owned(),
                ));
            }
            (Price::Unknown, Limit::Unlimited | Limit::Unset) => 0,
            (Price::AtMost(cost), _) => cost,
        };
        let Limit::AtMost(limit) = purse.limit else {
            purse.held += cost;
            return Ok(Fit::Fits(cost));
        };
        if purse.spent.saturating_add(purse.held).saturating_add(cost) <= limit {
            purse.held += cost;
            return Ok(Fit::Fits(cost));
        }
        if purse.held > 0 && purse.spent.saturating_add(cost) <= limit {
            return Ok(Fit::Later);
        }
        let running = match purse.held {
            0 => String::new(),
            held => format!("; running calls may cost {} more", dollars(held)),
        };
        let (cost, spent, limit) = (dollars(cost), dollars(purse.spent), dollars(limit));
        Err(StageError::over_budget(format!("the next call may cost {cost} and {spent} of {limit} are spent{running}"))
            .help("raise the budget and run again; replies that were paid for stay cached"))
    }

    fn purse(&self) -> MutexGuard<'_, Purse> {
        self.purse.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reserved price of a running call; given back when it is dropped.
pub(crate) struct Hold<'a> {
    budget: &'a Budget,
    cost: u64,
}

impl Hold<'_> {
    /// Pays what the call cost in the end, in nano-dollars.
    pub(crate) fn pay(self, cost: u64) {
        self.budget.purse().spent += cost;
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.budget.purse().held -= self.cost;
        self.budget.changed.notify_waiters();
    }
}

/// What calls cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Spent {
    /// Nano-dollars, as far as prices are known.
    pub(crate) nano_dollars: u64,
    /// Calls whose price is not known.
    pub(crate) unpriced: u64,
}

impl std::ops::AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        self.nano_dollars += other.nano_dollars;
        self.unpriced += other.unpriced;
    }
}

/// Writes nothing where nothing was paid.
impl fmt::Display for Spent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { nano_dollars: 0, unpriced: 0 } => Ok(()),
            Self { unpriced: 0, .. } => out.write_str(&dollars(self.nano_dollars)),
            Self { nano_dollars: 0, .. } => write!(out, "{} calls of unknown price", self.unpriced),
            _ => write!(out, "{} and {} calls of unknown price", dollars(self.nano_dollars), self.unpriced),
        }
    }
}

/// Returns nano-dollars as a text for people: cents, and as many digits more as a small amount needs.
pub(crate) fn dollars(nano: u64) -> String {
    let amount = nano as f64 / NANO;
    if amount == 0.0 || amount >= 0.1 {
        return format!("${amount:.2}");
    }
    let places = (1.0 - amount.log10().floor()).min(9.0) as usize;
    let text = format!("${amount:.places$}");
    let shortest = "$0.00".len();
    text[..shortest].to_owned() + text[shortest..].trim_end_matches('0')
}

/// What was paid for a reply.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Receipt {
    /// Who was paid, as the manifest names it.
    pub payee: String,
    /// Nano-dollars; null where the price is unknown.
    pub cost: Option<u64>,
    /// How long the call took, in seconds.
    pub seconds: f64,
    /// Whatever else is worth keeping: tokens, the provider's own name for the call.
    pub details: serde_json::Value,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at_most(limit: &str) -> Budget {
        Budget::new(limit.parse().unwrap())
    }

    #[tokio::test]
    async fn a_ceiling_holds_what_is_in_flight() {
        let budget = at_most("0.000000010");
        let first = budget.hold(Price::AtMost(6), false).await.unwrap();
        drop(budget.hold(Price::Free, false).await.unwrap());
        assert!(budget.hold(Price::Unknown, false).await.is_err());
        assert!(budget.hold(Price::AtMost(11), false).await.is_err());
        // It may fit when the first has ended for less than it might have cost.
        let waiting = budget.hold(Price::AtMost(7), false);
        tokio::pin!(waiting);
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut waiting).await.is_err());
        first.pay(3);
        waiting.await.unwrap().pay(7);
        assert_eq!(budget.spent(), 10);
        assert!(budget.hold(Price::AtMost(1), false).await.is_err());
    }

    #[tokio::test]
    async fn what_is_not_paid_comes_back() {
        let budget = at_most("0.000000010");
        for _ in 0..3 {
            drop(budget.hold(Price::AtMost(10), false).await.unwrap());
        }
        assert_eq!(budget.spent(), 0);
    }

    #[tokio::test]
    async fn no_budget_refuses_what_costs_and_none_allows_it() {
        assert!(Budget::new(Limit::Unset).hold(Price::AtMost(1), false).await.is_err());
        assert!(Budget::new(Limit::Unset).hold(Price::AtMost(1), true).await.is_ok());
        let unlimited = at_most("none");
        unlimited.hold(Price::Unknown, false).await.unwrap().pay(5);
        assert_eq!(unlimited.spent(), 5);
        assert!("-1".parse::<Limit>().is_err());
    }

    #[test]
    fn small_amounts_keep_two_digits() {
        for (nano, text) in [
            (0, "$0.00"),
            (12_340_000_000, "$12.34"),
            (12_300_000, "$0.012"),
            (20_000_000, "$0.02"),
            (1_230, "$0.0000012"),
            (1, "$0.000000001"),
        ] {
            assert_eq!(dollars(nano), text);
        }
    }
}
