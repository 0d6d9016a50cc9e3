//! Sums of money. Takes what calls cost; gives sums, and texts for people.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Nano-dollars in a dollar.
pub(super) const NANO: f64 = 1e9;

/// What calls cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Spent {
    /// Nano-dollars, as far as prices are known.
    pub(crate) nano_dollars: u64,
    /// Calls whose price is not known.
    pub(crate) unpriced: u64,
    /// What was sent and gave no reply.
    #[serde(skip_serializing_if = "Lost::is_nothing")]
    pub(crate) lost: Lost,
}

/// Calls that may have been paid for although no reply could be read: what they cost is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Lost {
    pub(crate) calls: u64,
    /// The most that they may have cost in nano-dollars, as far as prices are known.
    pub(crate) at_most_nano_dollars: u64,
    /// Calls among them whose price is not known.
    pub(crate) unpriced: u64,
}

impl Lost {
    /// Returns one call that may have cost so many nano-dollars; `None` where its price is not known.
    pub(crate) fn one(at_most: Option<u64>) -> Self {
        Self { calls: 1, at_most_nano_dollars: at_most.unwrap_or(0), unpriced: u64::from(at_most.is_none()) }
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.calls == 0
    }
}

/// Writes nothing where nothing was lost.
impl fmt::Display for Lost {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.calls == 1 { "call" } else { "calls" };
        match (self.calls, self.unpriced) {
            (0, _) => Ok(()),
            (calls, 0) => {
                write!(out, "{calls} {noun} without a reply: unknown, at most {}", dollars(self.at_most_nano_dollars))
            }
            (calls, _) => write!(out, "{calls} {noun} without a reply, of unknown price"),
        }
    }
}

impl std::ops::AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        self.nano_dollars = self.nano_dollars.saturating_add(other.nano_dollars);
        self.unpriced += other.unpriced;
        self.lost += other.lost;
    }
}

impl std::ops::AddAssign for Lost {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.at_most_nano_dollars = self.at_most_nano_dollars.saturating_add(other.at_most_nano_dollars);
        self.unpriced += other.unpriced;
    }
}

/// Writes nothing where nothing was paid.
impl fmt::Display for Spent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paid = match (self.nano_dollars, self.unpriced) {
            (0, 0) => None,
            (nano, 0) => Some(dollars(nano)),
            (0, unpriced) => Some(format!("{unpriced} calls of unknown price")),
            (nano, unpriced) => Some(format!("{} and {unpriced} calls of unknown price", dollars(nano))),
        };
        let lost = (!self.lost.is_nothing()).then(|| self.lost.to_string());
        out.write_str(&paid.into_iter().chain(lost).collect::<Vec<_>>().join("; "))
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
    use super::*;

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

    #[test]
    fn what_is_lost_stands_beside_what_was_paid() {
        let mut spent = Spent { nano_dollars: 20_000_000, ..Spent::default() };
        spent.lost += Lost::one(Some(1_000_000));
        assert_eq!(spent.to_string(), "$0.02; 1 call without a reply: unknown, at most $0.001");
        spent.lost += Lost::one(None);
        assert_eq!(spent.to_string(), "$0.02; 2 calls without a reply, of unknown price");
    }
}
