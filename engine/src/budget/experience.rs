//! What calls may cost, from what earlier ones did cost. Takes the price that is expected at most; gives the price to count with.
//!
//! A model may use more tokens than its cap allows: hidden reasoning that the cap does not count. So a price is trusted the more, the
//! more calls kept to it. A call that cost more raises the price of all further calls of its payee, which is in doubt again. The first
//! call of a payee that nothing is known of is made before all others of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::{Price, dollars};

/// How many times its price is reserved for the first call of a payee beside others. The number halves as the calls that kept to the
/// price double.
const FIRST_DOUBT: u64 = 16;

/// The price to count with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quote {
    pub(crate) price: Price,
    /// How many times the price is reserved while other calls run.
    pub(crate) doubt: u64,
}

impl Quote {
    /// Returns a price that is not in doubt.
    pub(crate) fn sure(price: Price) -> Self {
        Self { price, doubt: 1 }
    }
}

/// What is known of each payee.
#[derive(Default)]
pub(crate) struct Experience {
    known: Mutex<Known>,
    /// A first call has ended.
    ended: Notify,
}

#[derive(Default)]
struct Known {
    /// Whether what earlier runs paid is part of it.
    remembers: bool,
    payees: BTreeMap<String, Seen>,
    /// The payees whose first call is running.
    first: BTreeSet<String>,
}

/// The first call of a payee; the others wait until it is dropped.
pub(crate) struct First<'a> {
    experience: &'a Experience,
    payee: String,
}

impl Drop for First<'_> {
    fn drop(&mut self) {
        self.experience.known().first.remove(&self.payee);
        self.experience.ended.notify_waiters();
    }
}

#[derive(Clone, Copy, Default)]
struct Seen {
    /// The most that a call cost beyond what was expected at most.
    over: u64,
    /// The number of calls since then.
    within: u64,
    told: bool,
}

impl Experience {
    /// Learns once from what earlier runs paid: payee, cost and expected price, from the oldest to the newest.
    ///
    /// # Errors
    /// As `earlier`.
    pub(crate) fn remember<E>(&self, earlier: impl FnOnce() -> Result<Vec<(String, u64, u64)>, E>) -> Result<(), E> {
        let mut known = self.known();
        if !known.remembers {
            known.remembers = true;
            for (payee, cost, expected) in earlier()? {
                known.learn(&payee, cost, expected);
            }
        }
        Ok(())
    }

    /// Returns the price to count with for a call that is expected to cost `price` at most.
    pub(crate) fn quote(&self, payee: &str, price: Price) -> Quote {
        let Price::AtMost(expected) = price else { return Quote::sure(price) };
        let seen = self.known().payees.get(payee).copied().unwrap_or_default();
        Quote { price: Price::AtMost(expected.saturating_add(seen.over)), doubt: (FIRST_DOUBT / (seen.within + 1)).max(1) }
    }

    /// Waits while nothing is known of a payee and its first call is running. Returns `Some` where this is the first call.
    pub(crate) async fn first(&self, payee: &str) -> Option<First<'_>> {
        loop {
            let ended = self.ended.notified();
            {
                let mut known = self.known();
                if known.payees.contains_key(payee) {
                    return None;
                }
                if known.first.insert(payee.to_owned()) {
                    return Some(First { experience: self, payee: payee.to_owned() });
                }
            }
            ended.await;
        }
    }

    /// Learns from a call.
    pub(crate) fn learn(&self, payee: &str, cost: u64, expected: u64) {
        self.known().learn(payee, cost, expected);
    }

    /// Returns, once, what a person should know of a payee.
    pub(crate) fn tell(&self, payee: &str) -> Option<String> {
        let mut known = self.known();
        let seen = known.payees.get_mut(payee).filter(|seen| seen.over > 0 && !seen.told)?;
        seen.told = true;
        let over = dollars(seen.over);
        Some(format!(
            "a call of `{payee}` cost {over} more than its cap allows; budgets count that much more for each further call"
        ))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn learn(&mut self, payee: &str, cost: u64, expected: u64) {
        let over = cost.saturating_sub(expected);
        // The name is copied for the first call only.
        let seen = match self.payees.get_mut(payee) {
            Some(seen) => seen,
            None => self.payees.entry(payee.to_owned()).or_default(),
        };
        if over > seen.over {
            (seen.over, seen.within) = (over, 0);
        } else {
            seen.within += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn quoted(experience: &Experience, payee: &str) -> (u64, u64) {
        match experience.quote(payee, Price::AtMost(10)) {
            Quote { price: Price::AtMost(cost), doubt } => (cost, doubt),
            quote => panic!("{quote:?}"),
        }
    }

    #[test]
    fn a_price_is_trusted_after_calls_that_kept_to_it() {
        let experience = Experience::default();
        assert_eq!(quoted(&experience, "m"), (10, 16));
        experience.learn("m", 3, 10);
        assert_eq!(quoted(&experience, "m"), (10, 8));
        (0..20).for_each(|_| experience.learn("m", 3, 10));
        assert_eq!((quoted(&experience, "m"), experience.tell("m")), ((10, 1), None));
        assert_eq!(quoted(&experience, "other"), (10, 16));
    }

    #[test]
    fn a_call_beyond_its_price_raises_the_price_of_the_next_and_is_told_once() {
        let experience = Experience::default();
        let earlier = || Ok::<_, ()>(vec![("m".to_owned(), 5, 10), ("m".to_owned(), 70, 10), ("m".to_owned(), 70, 20)]);
        experience.remember(earlier).unwrap();
        assert_eq!(quoted(&experience, "m"), (70, 8));
        experience.remember(earlier).unwrap();
        assert_eq!(quoted(&experience, "m"), (70, 8), "once");
        experience.learn("m", 95, 10);
        assert_eq!(quoted(&experience, "m"), (95, 16));
        assert!(experience.tell("m").is_some() && experience.tell("m").is_none());
        assert_eq!(experience.quote("m", Price::Unknown), Quote::sure(Price::Unknown));
    }

    #[tokio::test]
    async fn the_first_call_of_a_payee_is_made_before_its_others() {
        let experience = Experience::default();
        let first = experience.first("m").await;
        assert!(first.is_some() && experience.first("other").await.is_some());
        let second = experience.first("m");
        tokio::pin!(second);
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut second).await.is_err());
        // It failed, and so nothing is known yet.
        drop(first);
        let second = second.await;
        assert!(second.is_some());
        experience.learn("m", 3, 10);
        drop(second);
        assert!(experience.first("m").await.is_none());
    }
}
