//! Questions whose answer depends on the order of their words: sums, mixed precedence, decimals, percentages, parts, word problems. Each
//! function takes a generator; gives one question.

use Operator::{Minus, Over, Plus, Times};
use bigdecimal::BigDecimal;
use rand_chacha::ChaCha8Rng;

use super::{
    Draft,
    draw::{below, between, pick, search, shuffle, until, whole},
    expression::{Chain, Operator, needs_precedence, says},
    phrases::{Style, ask, goods, person},
};

/// Digits of a pocket calculator's display: the numbers of these questions fit into it in whichever order they are computed.
const POCKET: i64 = 8;

/// Sets of operators, of which a question has one in some order. They are the same for every outcome, so that the operators alone give
/// no outcome away.
const BAGS: &[&[Operator]] = &[
    &[Times, Plus],
    &[Times, Minus],
    &[Times, Plus, Minus],
    &[Times, Plus, Plus],
    &[Times, Minus, Minus],
    &[Times, Times, Plus],
    &[Times, Times, Minus],
    &[Over, Plus],
    &[Over, Minus, Plus],
];

fn order(random: &mut ChaCha8Rng, bag: &[Operator], precedence: bool) -> Vec<Operator> {
    until(
        random,
        |random| {
            let mut operators = bag.to_vec();
            shuffle(random, &mut operators);
            operators
        },
        |operators| needs_precedence(operators.iter().copied()) == precedence,
    )
}

/// Draws whole numbers of two to `digits` digits for the operators, such that every division comes out even.
fn chain(random: &mut ChaCha8Rng, operators: &[Operator], digits: u32) -> Chain {
    let long = if operators.iter().filter(|operator| operator.multiplies()).count() > 1 { 2 } else { digits };
    let operand = |random: &mut ChaCha8Rng| {
        let digits = between(random, 2, u64::from(long)) as u32;
        whole(random, digits)
    };
    let mut numbers: Vec<BigDecimal> = (0..=operators.len()).map(|_| operand(random)).collect();
    for (at, operator) in operators.iter().enumerate() {
        if *operator == Over {
            numbers[at + 1] = BigDecimal::from(between(random, 3, 29));
            numbers[at] = &numbers[at + 1] * BigDecimal::from(between(random, 11, 40));
        }
    }
    let mut numbers = numbers.into_iter();
    Chain { first: numbers.next().unwrap_or_default(), rest: operators.iter().copied().zip(numbers).collect() }
}

/// Returns whether computing from left to right is right if and only if no precedence is needed.
fn reads_as_it_looks(chain: &Chain) -> bool {
    chain.left_to_right(POCKET).is_some_and(|shown| (shown != chain.exact()) == chain.needs_precedence())
}

fn draft_chain(random: &mut ChaCha8Rng, bags: &[&[Operator]], precedence: bool, digits: u32) -> Chain {
    until(
        random,
        |random| {
            let bag = pick(random, bags);
            let operators = order(random, bag, precedence);
            chain(random, &operators, digits)
        },
        reads_as_it_looks,
    )
}

/// Writes a sum: three or four terms, added and subtracted.
pub(crate) fn sum(random: &mut ChaCha8Rng) -> Draft {
    let count = between(random, 2, 3);
    let operators: Vec<Operator> = (0..count).map(|_| pick(random, &[Plus, Minus])).collect();
    let chain = chain(random, &operators, 4);
    let style = Style::draw(random);
    Draft::one(ask(random, &style.chain(&chain)), &chain.exact())
}

/// Writes products and sums of whole numbers.
pub(crate) fn mixed(random: &mut ChaCha8Rng) -> Draft {
    let precedence = below(random, 20) < 9;
    let spelled = below(random, 6) == 0;
    let chain = draft_chain(random, BAGS, precedence, if spelled { 2 } else { 3 });
    let style = if spelled { Style::Spelled } else { Style::draw(random) };
    Draft::one(ask(random, &style.chain(&chain)), &chain.exact())
}

/// Writes products and sums of decimals whose value 64-bit floating point misses.
pub(crate) fn decimal(random: &mut ChaCha8Rng) -> Draft {
    let precedence = below(random, 10) < 6;
    let bags: Vec<_> = BAGS.iter().filter(|bag| !bag.contains(&Over)).collect();
    let chain = until(
        random,
        |random| {
            let bag = pick(random, &bags);
            let operators = order(random, bag, precedence);
            let operand = |random: &mut ChaCha8Rng| {
                let tenths = until(random, |random| between(random, 11, 599), |tenths| tenths % 10 != 0);
                BigDecimal::new(tenths.into(), 1)
            };
            let first = operand(random);
            Chain { first, rest: operators.into_iter().map(|operator| (operator, operand(random))).collect() }
        },
        |chain| reads_as_it_looks(chain) && !says(chain.floating(), &chain.exact()),
    );
    let style = Style::draw(random);
    Draft::one(ask(random, &style.chain(&chain)), &chain.exact())
}

/// Writes a percentage of a number, before or behind other terms.
pub(crate) fn percent(random: &mut ChaCha8Rng) -> Draft {
    let style = Style::draw(random);
    let key = if style == Style::Signs { "%" } else { "percent" };
    let part = pick(random, &[5_u64, 10, 12, 15, 20, 25, 30, 40, 60, 75, 80]);
    let base = BigDecimal::from(between(random, 2, 90) * 10);
    let share = &base * BigDecimal::new(part.into(), 2);
    let share_text = if below(random, 2) == 0 {
        format!("{part} {key} of {base}")
    } else {
        format!("{base} {} {part} {key}", style.operator(Times))
    };
    let others = others(random);
    if below(random, 5) < 2 {
        let (text, gold) = behind(style, others, &share_text, &share);
        return Draft::one(ask(random, &text), &gold);
    }
    let chain = Chain { first: share, rest: others };
    let text = style.following(&share_text, &chain.rest);
    Draft::one(ask(random, &text), &chain.exact())
}

/// Writes a percentage that is added to or taken from all that stands before it.
pub(crate) fn surcharge(random: &mut ChaCha8Rng) -> Draft {
    let style = Style::draw(random);
    let key = if style == Style::Signs { "%" } else { "percent" };
    let part = pick(random, &[5_u64, 10, 20, 25, 40, 60, 75]);
    let precedence = below(random, 5) < 2;
    let before = draft_chain(random, &BAGS[..2], precedence, 2);
    let (sign, factor) = pick(random, &[(Plus, 100 + part), (Minus, 100 - part)]);
    let text = format!("{} {} {part} {key}", style.chain(&before), style.operator(sign));
    Draft::one(ask(random, &text), &(before.exact() * BigDecimal::new(factor.into(), 2)))
}

/// Draws one or two terms to add or subtract.
fn others(random: &mut ChaCha8Rng) -> Vec<(Operator, BigDecimal)> {
    (0..between(random, 1, 2)).map(|_| (pick(random, &[Plus, Minus]), short(random))).collect()
}

/// Draws a whole number of two or three digits.
fn short(random: &mut ChaCha8Rng) -> BigDecimal {
    let digits = between(random, 2, 3) as u32;
    whole(random, digits)
}

/// Puts terms before a `value` that is written as `text`, and joins it by the first term's operator. Returns the text and its value.
fn behind(style: Style, terms: Vec<(Operator, BigDecimal)>, text: &str, value: &BigDecimal) -> (String, BigDecimal) {
    let joining = terms.first().map_or(Plus, |(operator, _)| *operator);
    let mut terms = terms.into_iter();
    let first = terms.next().map_or_else(BigDecimal::default, |(_, number)| number);
    let before = Chain { first, rest: terms.collect() };
    let text = format!("{} {} {text}", style.chain(&before), style.operator(joining));
    let gold = if joining == Minus { before.exact() - value } else { before.exact() + value };
    (text, gold)
}

/// Writes a half or a double, before or behind other terms. "Half of 8 plus 6" may mean a half of the 8 or of all that
/// follows: both are right. Behind other terms, the part takes the next number alone.
pub(crate) fn part(random: &mut ChaCha8Rng) -> Draft {
    let (word, tenths) = pick(random, &[("half of", 5), ("double", 20), ("twice", 20)]);
    let factor = BigDecimal::new(tenths.into(), 1);
    let style = Style::draw(random);
    let base = BigDecimal::from(between(random, 11, 400) * 2);
    let others = others(random);
    let text = format!("{word} {base}");
    if below(random, 7) < 3 {
        let (text, gold) = behind(style, others, &text, &(base * factor));
        return Draft::one(ask(random, &text), &gold);
    }
    let narrow = Chain { first: &base * &factor, rest: others.clone() };
    let wide = Chain { first: base, rest: others }.exact() * factor;
    let text = ask(random, &style.following(&text, &narrow.rest));
    Draft::readings(text, &[narrow.exact(), wide])
}

/// Writes a word problem: somebody has loose things and full containers, in either order.
pub(crate) fn problem(random: &mut ChaCha8Rng) -> Draft {
    let (thing, container) = goods(random);
    let name = person(random);
    let precedence = below(random, 20) < 9;
    let chain = until(
        random,
        |random| {
            let bag: &[Operator] = pick(random, &[&[Times, Plus], &[Times, Minus], &[Times, Plus, Minus]]);
            let operators = order(random, bag, precedence);
            chain(random, &operators, 3)
        },
        |chain| reads_as_it_looks(chain) && never_in_debt(chain),
    );
    let size = if below(random, 3) == 0 { format!("{thing} each") } else { thing.to_owned() };
    let mut text = format!("{name} has {}", chain.first);
    let mut lost = false;
    for (at, (operator, operand)) in chain.rest.iter().enumerate() {
        let loose = at > 0 || *operator != Times;
        text = match operator {
            Times => format!("{text} {container} of {operand} {size}"),
            _ if at == 0 && loose => format!("{text} {thing} and {}{operand}", verb(*operator, lost)),
            _ => format!("{text} and {}{operand}", verb(*operator, lost)),
        };
        lost |= *operator == Minus;
    }
    if chain.rest.last().is_some_and(|(operator, _)| *operator != Times) {
        text = format!("{text} {thing}");
    }
    Draft::one(format!("{text}. How many {thing}?"), &chain.exact())
}

/// Returns the verb of a term. After a loss, "and" alone would read as a further loss, so a gain gets a verb too.
fn verb(operator: Operator, lost: bool) -> &'static str {
    match (operator, lost) {
        (Minus, _) => "loses ",
        (_, true) => "finds ",
        _ => "",
    }
}

/// Returns whether nobody ever loses all that there is, or more.
fn never_in_debt(chain: &Chain) -> bool {
    (1..=chain.rest.len())
        .filter(|end| chain.rest.get(*end).is_none_or(|(next, _)| !next.multiplies()))
        .all(|end| Chain { first: chain.first.clone(), rest: chain.rest[..end].to_vec() }.exact() > BigDecimal::default())
}

/// Writes a word problem about two people who have as many things each, which a reader has to double. What follows the "each" may belong
/// to both together or to each again: both are right.
pub(crate) fn each(random: &mut ChaCha8Rng) -> Draft {
    let (thing, container) = goods(random);
    let (one, other) = until(random, |random| (person(random), person(random)), |(one, other)| one != other);
    let (loose, count, size) = (short(random), short(random), short(random));
    let boxed = &count * &size;
    let all = (&loose + &boxed) * 2;
    let (text, gold) = match below(random, 3) {
        0 => (
            format!("{one} and {other} have {loose} {thing} each and {count} {container} of {size} {thing}"),
            vec![&loose * 2 + &boxed, all],
        ),
        1 => (format!("{one} and {other} each have {loose} {thing} and {count} {container} of {size} {thing}"), vec![all]),
        _ => (format!("{one} and {other} each have {count} {container} of {size} {thing} and {loose} {thing}"), vec![all]),
    };
    Draft::readings(format!("{text}. How many {thing}?"), &gold)
}

/// Writes "A less than B", which takes the first number from the second.
pub(crate) fn than(random: &mut ChaCha8Rng) -> Draft {
    let style = Style::Words;
    let less = short(random);
    let operators: &[Operator] = pick(random, &[&[Times], &[Plus], &[Times, Plus], &[Plus, Plus]]);
    let large = |from: &Chain| from.exact() > &less * 2;
    // A sum of two numbers is hardly ever above twice 990, and never above twice 999; among products one is found in the end.
    let from = search(random, |random| chain(random, operators, 3), large)
        .unwrap_or_else(|| until(random, |random| chain(random, &[Times], 3), large));
    let text = format!("{less} less than {}", style.chain(&from));
    Draft::one(ask(random, &text), &(from.exact() - less))
}
