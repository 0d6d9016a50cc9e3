//! How often a call is tried, and how long to wait between two tries.

use std::time::Duration;

use rand::Rng as _;

/// Tries of one call whose failures say that the server is in trouble; refusals for being too fast do not count.
pub(crate) const TRIES: u32 = 8;

/// Tries of a call where the server was never reached, or answers with what is no reply: it is likely to be another address.
pub(crate) const FEW_TRIES: u32 = 3;

/// The first pause between two tries is up to this, each later one up to twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Full jitter (Brooker 2015, "Exponential Backoff and Jitter"): anything up to a bound that doubles.
pub(crate) fn jitter(tries: u32) -> Duration {
    let bound = FIRST_PAUSE.saturating_mul(1 << tries.min(10)).min(LONGEST_PAUSE);
    bound.mul_f64(rand::rng().random())
}
