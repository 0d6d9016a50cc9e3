//! Budgets. Takes the highest possible price of a call; gives permission to make the call, if it fits. Money is in integer nano-dollars.
//!
//! Read this file first (limits, and what is reserved for running calls), then `experience` (what a call may cost, from what earlier ones
//! did cost) and `spent` (sums and receipts of what was paid).

mod experience;
mod spent;

use std::{
    str::FromStr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::contract::error::StageError;
pub(crate) use experience::{Experience, First, Quote};
use spent::NANO;
pub use spent::Receipt;
pub(crate) use spent::{Lost, Spent, dollars};

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
    /// What calls that gave no reply may have cost.
    lost: u64,
    held: u64,
}

enum Fit {
    Fits(u64),
    Later,
}

impl Budget {
    pub(crate) fn new(limit: Limit) -> Self {
        Self { purse: Mutex::new(Purse { limit, spent: 0, lost: 0, held: 0 }), changed: Notify::new() }
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

    /// Reserves the highest possible price of a call before it is sent. A call that does not fit waits for the running calls, which mostly
    /// cost less than they might; it is refused when there is none to wait for.
    ///
    /// Beside other calls more is reserved as long as the price is in doubt. A call that does not fit in this way goes alone, and teaches
    /// what the next may cost. Where the call is `covered` by another budget, this one may be unset.
    pub(crate) async fn hold(&self, quote: Quote, covered: bool) -> Result<Hold<'_>, StageError> {
        loop {
            let changed = self.changed.notified();
            match self.fit(quote, covered)? {
                Fit::Fits(cost) => return Ok(Hold { budget: self, cost }),
                Fit::Later => changed.await,
            }
        }
    }

    fn fit(&self, quote: Quote, covered: bool) -> Result<Fit, StageError> {
        let mut purse = self.purse();
        let cost = match (quote.price, purse.limit) {
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
            purse.held = purse.held.saturating_add(cost);
            return Ok(Fit::Fits(cost));
        };
        let left = limit.saturating_sub(purse.spent).saturating_sub(purse.lost);
        let beside = cost.saturating_mul(quote.doubt);
        if purse.held.saturating_add(beside) <= left {
            purse.held += beside;
            return Ok(Fit::Fits(beside));
        }
        if cost <= left {
            if purse.held > 0 {
                return Ok(Fit::Later);
            }
            purse.held = cost;
            return Ok(Fit::Fits(cost));
        }
        Err(purse.refusal(cost, limit))
    }

    fn purse(&self) -> MutexGuard<'_, Purse> {
        self.purse.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Purse {
    fn refusal(&self, cost: u64, limit: u64) -> StageError {
        let more = |amount: u64, what: &str| match amount {
            0 => String::new(),
            amount => format!("; {what} {}", dollars(amount)),
        };
        let lost = more(self.lost, "calls without a reply may have cost at most");
        let running = more(self.held, "running calls may cost at most");
        let (cost, spent, limit) = (dollars(cost), dollars(self.spent), dollars(limit));
        StageError::over_budget(format!("the next call may cost {cost} and {spent} of {limit} are spent{lost}{running}"))
            .help("raise the budget and run again; replies that were paid for stay cached")
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
        let mut purse = self.budget.purse();
        purse.spent = purse.spent.saturating_add(cost);
    }

    /// Takes what a call without a reply may have cost for spent.
    pub(crate) fn lose(self, cost: u64) {
        let mut purse = self.budget.purse();
        purse.lost = purse.lost.saturating_add(cost);
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.budget.purse().held -= self.cost;
        self.budget.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(cost: u64) -> Quote {
        Quote::sure(Price::AtMost(cost))
    }

    fn at_most(limit: &str) -> Budget {
        Budget::new(limit.parse().unwrap())
    }

    #[tokio::test]
    async fn a_ceiling_holds_what_is_in_flight() {
        let budget = at_most("0.000000010");
        let first = budget.hold(at(6), false).await.unwrap();
        drop(budget.hold(Quote::sure(Price::Free), false).await.unwrap());
        assert!(budget.hold(Quote::sure(Price::Unknown), false).await.is_err());
        assert!(budget.hold(at(11), false).await.is_err());
        // It may fit when the first has ended for less than it might have cost.
        let waiting = budget.hold(at(7), false);
        tokio::pin!(waiting);
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut waiting).await.is_err());
        first.pay(3);
        waiting.await.unwrap().pay(7);
        assert_eq!(budget.spent(), 10);
        assert!(budget.hold(at(1), false).await.is_err());
    }

    #[tokio::test]
    async fn what_is_not_paid_comes_back() {
        let budget = at_most("0.000000010");
        for _ in 0..3 {
            drop(budget.hold(at(10), false).await.unwrap());
        }
        assert_eq!(budget.spent(), 0);
    }

    #[tokio::test]
    async fn no_budget_refuses_what_costs_and_none_allows_it() {
        assert!(Budget::new(Limit::Unset).hold(at(1), false).await.is_err());
        assert!(Budget::new(Limit::Unset).hold(at(1), true).await.is_ok());
        let unlimited = at_most("none");
        unlimited.hold(Quote::sure(Price::Unknown), false).await.unwrap().pay(5);
        assert_eq!(unlimited.spent(), 5);
        assert!("-1".parse::<Limit>().is_err());
    }

    #[tokio::test]
    async fn a_doubtful_price_goes_alone_where_it_does_not_fit_beside_others() {
        let budget = at_most("0.000000010");
        let doubtful = Quote { price: Price::AtMost(2), doubt: 16 };
        let alone = budget.hold(doubtful, false).await.unwrap();
        let waiting = budget.hold(doubtful, false);
        tokio::pin!(waiting);
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut waiting).await.is_err());
        alone.pay(7);
        waiting.await.unwrap().lose(2);
        let refused = budget.hold(at(2), false).await.err().unwrap().to_string();
        assert!(refused.contains("calls without a reply may have cost at most $0.000000002"), "{refused}");
    }
}
