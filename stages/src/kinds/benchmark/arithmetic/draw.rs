//! Draws from a seeded generator. Takes the generator; gives numbers and choices, the same on every machine.

use bigdecimal::BigDecimal;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Returns the generator of question `index`: a stream of its own, so that no question depends on another.
pub(crate) fn generator(seed: u64, index: usize) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(index as u64);
    random
}

/// Draws a number from 0 to `end - 1`.
pub(crate) fn below(random: &mut ChaCha8Rng, end: u64) -> u64 {
    random.random_range(0..end)
}

/// Draws a number from `low` to `high`, both included.
pub(crate) fn between(random: &mut ChaCha8Rng, low: u64, high: u64) -> u64 {
    random.random_range(low..=high)
}

/// Draws a whole number of `digits` digits.
pub(crate) fn whole(random: &mut ChaCha8Rng, digits: u32) -> BigDecimal {
    let low = 10_u64.pow(digits - 1);
    BigDecimal::from(between(random, low, low * 10 - 1))
}

/// Draws one of `choices`.
pub(crate) fn pick<T: Copy>(random: &mut ChaCha8Rng, choices: &[T]) -> T {
    choices[below(random, choices.len() as u64) as usize]
}

/// Puts `items` into a random order.
pub(crate) fn shuffle<T>(random: &mut ChaCha8Rng, items: &mut [T]) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(random, last as u64 + 1) as usize);
    }
}

/// Draws until a draft suits. Each kind's conditions hold for at least one draft in some hundreds, whatever the seed.
///
/// # Panics
/// 100,000 drafts in a row did not suit: the condition cannot be met, and further draws would never end.
pub(crate) fn until<T>(random: &mut ChaCha8Rng, draft: impl Fn(&mut ChaCha8Rng) -> T, suits: impl Fn(&T) -> bool) -> T {
    search(random, draft, suits).expect("a condition on drafts can be met")
}

/// Draws until a draft suits. Returns nothing if 100,000 did not.
pub(crate) fn search<T>(random: &mut ChaCha8Rng, draft: impl Fn(&mut ChaCha8Rng) -> T, suits: impl Fn(&T) -> bool) -> Option<T> {
    (0..100_000).map(|_| draft(random)).find(suits)
}
