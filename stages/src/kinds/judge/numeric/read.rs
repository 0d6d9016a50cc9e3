//! The number that an answer comes to. Takes an answer; gives the amount, or says that there is none that can be read.
//!
//! It is looked for where models and benchmarks put it: in what the text marks as its answer, else in a sentence that announces it, else
//! it is the last amount of the text. An amount is a whole expression with what belongs to it: sign, scale, percent, unit. Two amounts
//! that are joined ("3 or 4", "between 3 and 5", "3-5") are several, and a part of an expression that cannot be read is no amount.

use std::{borrow::Cow, sync::LazyLock};

use regex::Regex;

use super::{
    super::{
        expression::token::{Sign, Token, tokens},
        final_answer,
    },
    amount::{Amount, Found, amounts, begins},
};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Read {
    Amount(Amount),
    Several,
    /// There are digits or expressions, but no number that could be compared.
    Unreadable,
    Nothing,
}

/// Removes footnotes and tags, which stand beside a number and are no part of it.
fn without_notes(text: &str) -> Cow<'_, str> {
    static NOTE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"([0-9.,)%])[ ]?\[\^?[0-9]{1,3}\]|<sup>[^<]*</sup>|</?[A-Za-z][^<>\n]*>").expect("the pattern is fixed")
    });
    if text.contains(['[', '<']) { NOTE.replace_all(text, "$1") } else { Cow::Borrowed(text) }
}

/// Returns what an answer comes to, and whether it says so as its answer.
pub(super) fn read(text: &str) -> (Read, bool) {
    if let Some(marked) = final_answer::marked(text) {
        return (first(&without_notes(&marked)), true);
    }
    let text = &*without_notes(text);
    if text.trim().len() <= 60 {
        let whole = first_of_line(text);
        if !matches!(whole, Read::Nothing) && !text.trim().contains('\n') {
            return (whole, is_short(text));
        }
    }
    if let Some(announced) = final_answer::announced(text) {
        // "The answer is not known. I think of 5" has a number all the same.
        match first(&announced) {
            Read::Nothing => {}
            read => return (read, true),
        }
    }
    (last(text), false)
}

/// Returns whether an answer is little more than a number.
fn is_short(text: &str) -> bool {
    text.split_whitespace().count() <= 3
}

/// Reads a short answer of one line as a whole, if nothing but an amount and words are in it.
fn first_of_line(text: &str) -> Read {
    let tokens = tokens(text, false);
    let amounts = amounts(&tokens);
    match &amounts[..] {
        [] if unreadable(&tokens) => Read::Unreadable,
        [one] if !tokens.iter().any(|token| token.is('=')) && one.value.is_some() => answer(one),
        _ => Read::Nothing,
    }
}

fn unreadable(tokens: &[Token]) -> bool {
    tokens.iter().any(|token| matches!(token.sign, Sign::Unreadable | Sign::Number(_)))
}

/// Returns what an amount is as an answer.
fn answer(found: &Found) -> Read {
    match &found.value {
        _ if found.range => Read::Several,
        Some(amount) => Read::Amount(amount.clone()),
        None => Read::Unreadable,
    }
}

/// Reads the first amount of a marked answer.
pub(super) fn first(text: &str) -> Read {
    let line = text.trim().lines().next().unwrap_or_default();
    let all = tokens(line, false);
    // "3 + 4 = 7" comes to what stands behind the equals sign.
    let from = all.iter().rposition(|token| token.is('=')).filter(|at| all[*at..].iter().any(begins)).map_or(0, |at| at + 1);
    let tokens = &all[from..];
    let found = amounts(tokens);
    let Some(one) = found.first() else {
        return match tokens.iter().find(|token| matches!(token.sign, Sign::Ordinal(_) | Sign::Unreadable | Sign::Command(_))) {
            Some(Token { sign: Sign::Ordinal(number), .. }) => {
                Read::Amount(Amount { number: number.clone(), percent: false, unit: String::new() })
            }
            Some(_) => Read::Unreadable,
            None => Read::Nothing,
        };
    };
    if tokens[..one.from].iter().any(|token| token.sign == Sign::Unreadable) {
        return Read::Unreadable;
    }
    if joined(tokens, &found, 0) { Read::Several } else { answer(one) }
}

/// Reads a text that is an amount and nothing else.
pub(super) fn only(text: &str) -> Option<Amount> {
    let tokens = tokens(text.trim(), false);
    let from = tokens.iter().position(|token| !token.is('='))?;
    match amounts(&tokens[from..]).into_iter().next() {
        Some(Found { from: 0, to, value, range: false }) if tokens[from + to..].iter().all(|token| token.is('.')) => value,
        _ => None,
    }
}

/// Reads the last amount of a text.
fn last(text: &str) -> Read {
    for line in text.lines().rev() {
        if !line.contains(|character: char| character.is_numeric() || character == '\\' || character == 'π') {
            continue;
        }
        let all = tokens(line, false);
        let from = all.iter().rposition(|token| token.is('=')).filter(|at| !amounts(&all[at + 1..]).is_empty());
        let tokens = &all[from.map_or(0, |at| at + 1)..];
        let found = amounts(tokens);
        // Behind an equals sign stands the result, and then what it is of.
        let at = if from.is_some() { 0 } else { found.len().saturating_sub(1) };
        let Some(one) = found.get(at) else { continue };
        let several =
            joined(tokens, &found, at) || at > 0 && joined(tokens, &found, at - 1) && !added(tokens, &found[at - 1], one);
        return if several { Read::Several } else { answer(one) };
    }
    if unreadable(&tokens(text, false)) { Read::Unreadable } else { Read::Nothing }
}

/// Returns whether two amounts are parts of a list of things, as in "3 apples and 5 pears".
fn added(tokens: &[Token], one: &Found, next: &Found) -> bool {
    let between = &tokens[one.to..next.from];
    let and = between.last().and_then(Token::word).is_some_and(|word| word == "and");
    let range = tokens[..one.from].last().and_then(Token::word).is_some_and(|word| word == "between" || word == "either");
    and && !range
}

/// Returns whether the next amount is one more answer: joined by a word, a comma or a dash, with at most two words before it.
fn joined(tokens: &[Token], found: &[Found], at: usize) -> bool {
    let (Some(one), Some(next)) = (found.get(at), found.get(at + 1)) else { return false };
    let between = &tokens[one.to..next.from];
    let words: Vec<_> = between.iter().map(Token::word).collect();
    match between {
        [] => false,
        [token] if token.is(',') || token.is(';') => tokens.get(next.to).and_then(Token::word).is_none(),
        [token] if token.is('-') => true,
        _ => {
            let join = words.last().cloned().flatten().is_some_and(|word| {
                ["and", "or", "to", "und", "oder", "bis", "et", "ou", "y", "o", "through", "versus"].contains(&word.as_str())
            });
            let only_words = words[..words.len() - 1]
                .iter()
                .enumerate()
                .all(|(at, word)| word.is_some() || at + 2 == words.len() && between[at].is(','));
            join && only_words && words.len() <= 3
        }
    }
}
