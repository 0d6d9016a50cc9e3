//! Questions whose answer depends on a calculator's keys and on how many digits it has: powers, roots, long numbers, units, dates. Each
//! function takes a generator; gives one question.

use Operator::{Minus, Plus, Times};
use bigdecimal::BigDecimal;
use jiff::civil::{Date, date};
use rand_chacha::ChaCha8Rng;

use super::{
    Draft,
    draw::{below, between, pick, until, whole},
    expression::{Chain, Operator, nearest, says},
    phrases::{Style, ask},
};

/// The largest number up to which 64-bit floating point has every whole number.
const FLOAT_LIMIT: u64 = 1 << 53;

fn raise(base: &BigDecimal, exponent: u64) -> BigDecimal {
    (0..exponent).fold(BigDecimal::from(1), |value, _| value * base)
}

/// Adds or subtracts another term before or behind a value. Returns the text, the exact value and the value in floating point.
fn among(random: &mut ChaCha8Rng, style: Style, (text, value, float): (String, BigDecimal, f64)) -> (String, BigDecimal, f64) {
    let digits = between(random, 2, 3) as u32;
    let other = whole(random, digits);
    let operator = pick(random, &[Plus, Minus]);
    let sign = style.operator(operator);
    let near = nearest(&other);
    match (below(random, 2), operator) {
        (0, Plus) => (format!("{text} {sign} {other}"), value + &other, float + near),
        (0, _) => (format!("{text} {sign} {other}"), value - &other, float - near),
        (_, Plus) => (format!("{other} {sign} {text}"), &other + value, near + float),
        _ => (format!("{other} {sign} {text}"), &other - value, near - float),
    }
}

/// Writes a power: a small one of a whole number, one that floating point is too short for, or a square of a decimal that it misses.
pub(crate) fn power(random: &mut ChaCha8Rng) -> Draft {
    let style = Style::draw(random);
    let form = below(random, 10);
    let (text, gold, _) = until(
        random,
        |random| {
            let (base, exponent, written) = match form {
                0..3 => (BigDecimal::from(between(random, 11, 99)), 2, None),
                3 | 4 => {
                    let exponent = between(random, 3, 6);
                    (BigDecimal::from(between(random, 2, 12)), exponent, Some(exponent))
                }
                5 | 6 => {
                    let exponent = between(random, 20, 29);
                    (BigDecimal::from(between(random, 7, 19)), exponent, Some(exponent))
                }
                _ => {
                    let tenths = until(random, |random| between(random, 11, 99), |tenths| tenths % 10 != 0);
                    (BigDecimal::new(tenths.into(), 1), 2, None)
                }
            };
            let text = match written {
                None => format!("{base} squared"),
                Some(exponent) => format!("{base} to the power of {exponent}"),
            };
            let float = (0..exponent).fold(1.0, |value, _| value * nearest(&base));
            among(random, style, (text, raise(&base, exponent), float))
        },
        |(_, gold, float)| says(*float, gold) == (form < 5),
    );
    Draft::one(ask(random, &text), &gold)
}

/// Writes the square root of a square, before or behind another term.
pub(crate) fn root(random: &mut ChaCha8Rng) -> Draft {
    let style = Style::draw(random);
    let root = BigDecimal::from(between(random, 11, 99));
    let float = nearest(&root);
    let (text, gold, _) = among(random, style, (format!("the square root of {}", &root * &root), root, float));
    Draft::one(ask(random, &text), &gold)
}

/// Writes a square and a percentage in one line: each calculator lacks one of the keys.
pub(crate) fn keys(random: &mut ChaCha8Rng) -> Draft {
    let style = Style::draw(random);
    let key = if style == Style::Signs { "%" } else { "percent" };
    let base = whole(random, 2);
    let square = &base * &base;
    let part = BigDecimal::from(pick(random, &[5_u64, 10, 15, 20, 25, 40, 60, 75]));
    let of = BigDecimal::from(between(random, 2, 90) * 10);
    let share = &part * &of / 100;
    let plus = style.operator(Plus);
    let text = if below(random, 2) == 0 {
        format!("{base} squared {plus} {part} {key} of {of}")
    } else {
        format!("{part} {key} of {of} {plus} {base} squared")
    };
    Draft::one(ask(random, &text), &(square + share))
}

/// Writes products and sums that are too long for a pocket calculator's display; half of them are too long for floating point too.
pub(crate) fn long(random: &mut ChaCha8Rng) -> Draft {
    let style = Style::draw(random);
    let past = below(random, 2) == 0;
    let product = below(random, 2) == 0;
    let chain = until(
        random,
        |random| match (product, past) {
            (true, true) => Chain { first: whole(random, 9), rest: vec![(Times, whole(random, 9))] },
            (true, false) => Chain { first: whole(random, 5), rest: vec![(Times, whole(random, 5))] },
            (false, past) => {
                let digits = if past { 17 } else { 10 };
                Chain { first: whole(random, digits), rest: vec![(Plus, whole(random, 3)), (Minus, whole(random, 2))] }
            }
        },
        |chain| {
            let exact = chain.exact();
            says(chain.floating(), &exact) != past && (exact > FLOAT_LIMIT) == past
        },
    );
    Draft::one(ask(random, &style.chain(&chain)), &chain.exact())
}

/// A unit, the unit to convert it to, and the factor between them as a decimal's digits and scale.
type Conversion = (&'static str, &'static str, (i64, i64));

/// Writes a conversion by tens or sixties, from inches, or between units that neither calculator knows.
pub(crate) fn unit(random: &mut ChaCha8Rng) -> Draft {
    const PLAIN: &[Conversion] = &[
        ("kilometres", "metres", (1000, 0)),
        ("metres", "centimetres", (100, 0)),
        ("kilograms", "grams", (1000, 0)),
        ("hours", "minutes", (60, 0)),
    ];
    const INCHES: &[Conversion] = &[("inches", "centimetres", (254, 2)), ("inches", "millimetres", (254, 1))];
    const FOREIGN: &[Conversion] =
        &[("miles", "metres", (1_609_344, 3)), ("yards", "centimetres", (9144, 2)), ("pounds", "grams", (45_359_237, 5))];
    let table = pick(random, &[PLAIN, INCHES, INCHES, FOREIGN]);
    let (text, gold, _) = until(
        random,
        |random| {
            let (from, to, (digits, scale)) = pick(random, table);
            let count = whole(random, 2);
            let more = whole(random, 3);
            let gold = &count * BigDecimal::new(digits.into(), scale) + &more;
            // Of the units that a calculator knows, only inches are no whole number of the smallest unit, so only they can be missed by
            // floating point.
            let size = if to == "centimetres" { 10.0 } else { 1.0 };
            let float = (nearest(&count) * 25.4 + nearest(&more) * size) / size;
            let text = match below(random, 2) {
                0 => format!("How many {to} are {count} {from} plus {more} {to}?"),
                _ => format!("Convert {count} {from} plus {more} {to} to {to}."),
            };
            (text, gold, float)
        },
        |(_, gold, float)| table != INCHES || !says(*float, gold),
    );
    Draft::one(text, &gold)
}

/// Writes a question for the days between two dates: the last one counts, the first does not.
pub(crate) fn days(random: &mut ChaCha8Rng) -> Draft {
    let (first, last) = until(random, |random| (day(random), day(random)), |(first, last)| last > first);
    let gold = BigDecimal::from(i64::from((last - first).get_days()));
    let (first, last) = (first.strftime("%-d %B %Y"), last.strftime("%-d %B %Y"));
    let text = match below(random, 3) {
        0 => format!("How many days are there from {first} to {last}?"),
        1 => format!("How many days is it from {first} to {last}?"),
        _ => format!("What is {last} minus {first} in days?"),
    };
    Draft::one(text, &gold)
}

/// Draws a day on which all calendars in use agree.
fn day(random: &mut ChaCha8Rng) -> Date {
    let (year, month) = (between(random, 2020, 2029) as i16, between(random, 1, 12) as i8);
    date(year, month, between(random, 1, 28) as i8)
}
