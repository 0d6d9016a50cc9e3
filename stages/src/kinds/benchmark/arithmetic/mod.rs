//! Generated questions in arithmetic, as a person might ask them. Takes a count and a seed; gives questions with their exact answers.
//!
//! Read `draw` (random choices), `expression` (chains and their values) and `phrases` (the wording) first, then the kinds of question in
//! `chains` and `keys`. A further kind is a function and a line in [`KINDS`].
//!
//! The answers follow these conventions, and a question lists every answer that one of them allows:
//! - multiplication and division come before addition and subtraction, spoken as written;
//! - "half of", "double" and "twice" at the start take the next number or all that follows (two answers);
//!   behind other terms, they take the next number alone, as roots and powers do everywhere;
//! - "p % of a" is a part of `a`, the next number; "a + p %" and "a − p %" take the part of all that stands before;
//! - "a less than b" takes `a` from all that follows; between two dates, the last day counts and the first does not;
//! - what two people have "each" counts twice; what is named behind the "each" counts once or twice (two answers).

mod chains;
mod draw;
mod expression;
mod keys;
mod phrases;

use bigdecimal::BigDecimal;
use rand_chacha::ChaCha8Rng;

/// The version of the questions: raised whenever any seed gives another question or answer.
pub(crate) const VERSION: u32 = 1;

/// One generated question, with every right answer as a plain decimal number, and the group it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Generated {
    pub text: String,
    pub gold: Vec<String>,
    pub kind: &'static str,
}

/// A generated question whose kind is not set yet.
#[derive(Debug)]
struct Draft {
    text: String,
    gold: Vec<String>,
}

impl Draft {
    fn one(text: String, gold: &BigDecimal) -> Self {
        Self::readings(text, std::slice::from_ref(gold))
    }

    fn readings(text: String, readings: &[BigDecimal]) -> Self {
        let mut gold: Vec<String> = readings.iter().map(|value| value.normalized().to_plain_string()).collect();
        gold.dedup();
        Self { text, gold }
    }
}

/// The kinds of question: name, share in thousandths, and the function that writes one.
const KINDS: &[(&str, u64, fn(&mut ChaCha8Rng) -> Draft)] = &[
    ("sum", 50, chains::sum),
    ("mixed", 270, chains::mixed),
    ("decimal", 170, chains::decimal),
    ("percent", 85, chains::percent),
    ("surcharge", 15, chains::surcharge),
    ("problem", 95, chains::problem),
    ("part", 70, chains::part),
    ("each", 30, chains::each),
    ("than", 30, chains::than),
    ("power", 60, keys::power),
    ("root", 10, keys::root),
    ("keys", 25, keys::keys),
    ("long", 30, keys::long),
    ("unit", 30, keys::unit),
    ("days", 30, keys::days),
];

/// Generates `count` questions. Question `i` depends on `seed` and `i` alone: a larger count adds questions and changes none.
pub(crate) fn generate(count: usize, seed: u64) -> Vec<Generated> {
    (0..count).map(|index| question(&mut draw::generator(seed, index))).collect()
}

fn question(random: &mut ChaCha8Rng) -> Generated {
    let mut place = draw::below(random, KINDS.iter().map(|(_, share, _)| share).sum());
    let mut chosen = KINDS[0];
    for kind in KINDS {
        chosen = *kind;
        if place < kind.1 {
            break;
        }
        place -= kind.1;
    }
    let (kind, _, write) = chosen;
    let Draft { text, gold } = write(random);
    Generated { text, gold, kind }
}

#[cfg(test)]
mod tests;
