//! Retries: how often a call is tried. Takes the number of tries; gives the pause before the next.

use std::time::Duration;

use rand::Rng as _;

/// Tries of one call while the server is in trouble. Refusals for being too fast do not count.
pub(crate) const TRIES: u32 = 8;

/// Tries of a call while the server was never reached, or answers with what is no reply: the address is likely to be wrong.
pub(crate) const FEW_TRIES: u32 = 3;

/// The bound of the first pause between two tries. It doubles with each further try.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Draws a pause by full jitter (Brooker 2015, "Exponential Backoff and Jitter"): any time up to a bound that doubles.
pub(crate) fn jitter(tries: u32) -> Duration {
    let bound = FIRST_PAUSE.saturating_mul(1 << tries.min(10)).min(LONGEST_PAUSE);
    bound.mul_f64(rand::rng().random())
}
