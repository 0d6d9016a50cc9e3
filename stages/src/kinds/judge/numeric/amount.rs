//! Amounts among tokens. Takes tokens; gives each whole expression with what belongs to it: sign, scale, percent, unit.

use bigdecimal::BigDecimal;

use super::{
    super::expression::{
        parse::expression,
        token::{Sign, Token},
        tree::Tree,
    },
    unit::scale,
};

/// A number with what belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Amount {
    pub number: BigDecimal,
    /// Whether a percent sign stands behind it.
    pub percent: bool,
    /// The word behind it, in lower case; empty if there is none.
    pub unit: String,
}

/// An expression among tokens.
pub(super) struct Found {
    pub from: usize,
    pub to: usize,
    /// Nothing if the expression is a part of what cannot be read.
    pub value: Option<Amount>,
    /// Whether it is a difference of two numerals, which is a range as well.
    pub range: bool,
}

/// Returns whether an expression can begin at a token.
pub(super) fn begins(token: &Token) -> bool {
    matches!(token.sign, Sign::Number(_) | Sign::Command(_) | Sign::Vulgar(_) | Sign::Unreadable)
}

/// Returns the amounts among tokens.
pub(super) fn amounts(tokens: &[Token]) -> Vec<Found> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let begins = match &tokens[at].sign {
            Sign::Number(_) | Sign::Vulgar(_) | Sign::Command(_) => true,
            Sign::Mark('-' | '(') => tokens.get(at + 1).is_some_and(|next| !next.spaced && (begins(next) || next.is('-'))),
            Sign::Word(word) => {
                let minus = ["minus", "negative"].contains(&word.to_lowercase().as_str());
                minus && tokens.get(at + 1).is_some_and(begins) || ["pi", "sqrt"].contains(&word.as_str())
            }
            _ => false,
        };
        // A dash between words and a number is no sign.
        let dash = tokens[at].is('-') && at > 0 && !tokens[at].spaced && matches!(tokens[at - 1].sign, Sign::Word(_));
        let Some((tree, to)) = (if begins && !dash { expression(tokens, at, false) } else { None }) else {
            if begins && matches!(tokens[at].sign, Sign::Command(_)) {
                found.push(Found { from: at, to: at + 1, value: None, range: false });
            }
            at += 1;
            continue;
        };
        let (value, to) = amount(tokens, at, &tree, to);
        let range = matches!(&tree, Tree::Difference(one, other) if one.is_numeral() && other.is_numeral());
        found.push(Found { from: at, to, value, range });
        at = to;
    }
    found
}

/// Reads what belongs to an expression. No amount if the expression is a part of a larger one.
fn amount(tokens: &[Token], from: usize, tree: &Tree, mut to: usize) -> (Option<Amount>, usize) {
    let mut value = tree.exact();
    // "B12" and "covid-19" have a number that is none.
    let part_of_word = from > 0 && !tokens[from].spaced && {
        let before = &tokens[from - 1];
        matches!(&before.sign, Sign::Word(word) if !is_currency(word))
            || before.is('_')
            || before.sign == Sign::Unreadable
            || before.is('^')
    };
    if part_of_word {
        value = None;
    }
    let mut percent = false;
    let mut unit = String::new();
    while let Some(token) = tokens.get(to) {
        match &token.sign {
            Sign::Mark('%') => {
                percent = true;
                to += 1;
            }
            Sign::Word(word) | Sign::Text(word) if unit.is_empty() && !percent => {
                let word = word.trim();
                let touches = !token.spaced && !tokens.get(to + 1).is_some_and(|next| next.is('&'));
                if let Some(exponent) = scale(word, touches).filter(|_| touches || word.len() > 1) {
                    value = value.map(|value| value * BigDecimal::new(1.into(), -exponent));
                    to += 1;
                    continue;
                }
                if ["percent", "prozent", "pct", "procent"].contains(&word.to_lowercase().as_str()) {
                    percent = true;
                } else if !token.spaced && is_variable(word) && matches!(token.sign, Sign::Word(_)) {
                    value = None;
                } else {
                    let first = word.split_whitespace().next().unwrap_or_default().to_lowercase();
                    let joins = [
                        "and", "or", "to", "und", "oder", "bis", "et", "ou", "y", "o", "through", "versus", "in", "for", "of",
                        "by", "at", "is", "on", "that", "a", "the", "with", "from", "if", "per", "each", "more", "than",
                    ];
                    if joins.contains(&first.as_str()) {
                        break;
                    }
                    unit = first;
                }
                to += 1;
            }
            // The power of a unit, as in "m²".
            Sign::Mark('^') if !unit.is_empty() && !token.spaced => {
                to += 1;
                if tokens.get(to).is_some_and(|token| token.is('{')) {
                    to += 3;
                } else {
                    to += 1;
                }
                to = to.min(tokens.len());
            }
            Sign::Mark('^' | '_' | '!') | Sign::Unreadable if !token.spaced && unit.is_empty() => {
                // "42!" ends a sentence; "4!" in a formula is not read.
                if !token.is('!') {
                    value = None;
                }
                to += 1;
            }
            Sign::Mark('*' | '/' | '+')
                if unit.is_empty() && tokens.get(to + 1).is_some_and(|next| next.sign == Sign::Unreadable) =>
            {
                value = None;
                to += 1;
            }
            _ => break,
        }
    }
    let amount = value.map(|number| Amount { number, percent, unit });
    (amount, to)
}

fn is_currency(word: &str) -> bool {
    let word = word.to_lowercase();
    ["us", "usd", "eur", "gbp", "rs", "inr", "a", "c", "ca", "au", "nz", "hk", "chf", "aed", "kr", "r", "s"]
        .contains(&word.as_str())
}

fn is_variable(word: &str) -> bool {
    matches!(word, "x" | "y" | "z" | "n" | "a" | "b" | "i" | "p" | "q" | "r" | "k" | "xy" | "ab")
}
