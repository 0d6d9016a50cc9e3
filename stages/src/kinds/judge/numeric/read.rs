//! The number that an answer comes to. Takes an answer; gives the amount, or says that there is none that can be read.
//!
//! It is looked for where models and benchmarks put it: in what the text marks as its answer, else in a sentence that announces it, else
//! it is the last amount of the text. An amount is a whole expression with what belongs to it: sign, scale, percent, unit. Two amounts
//! that are joined ("3 or 4", "between 3 and 5", "3-5") are several, and a part of an expression that cannot be read is no amount.

use std::{borrow::Cow, sync::LazyLock};

use bigdecimal::BigDecimal;
use regex::Regex;

use super::{
    super::{
        expression::{
            parse::expression,
            token::{Sign, Token, tokens},
            tree::Tree,
        },
        final_answer,
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
        Regex::new(r"([\w.,)%])[ ]?\[\^?[0-9]{1,3}\]|<sup>[^<]*</sup>|</?[A-Za-z][^<>\n]*>").expect("the pattern is fixed")
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
        [one] if !tokens.iter().any(|token| token.is('=')) && one.value.is_some() => one.read(),
        _ => Read::Nothing,
    }
}

fn unreadable(tokens: &[Token]) -> bool {
    tokens.iter().any(|token| matches!(token.sign, Sign::Unreadable | Sign::Number(_)))
}

/// An expression among tokens.
struct Found {
    from: usize,
    to: usize,
    /// Nothing if the expression is a part of what cannot be read.
    value: Option<Amount>,
    /// Whether it is a difference of two numerals, which is a range as well.
    range: bool,
}

impl Found {
    fn read(&self) -> Read {
        match &self.value {
            _ if self.range => Read::Several,
            Some(amount) => Read::Amount(amount.clone()),
            None => Read::Unreadable,
        }
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
    if joined(tokens, &found, 0) { Read::Several } else { one.read() }
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

fn begins(token: &Token) -> bool {
    matches!(token.sign, Sign::Number(_) | Sign::Command(_) | Sign::Vulgar(_) | Sign::Unreadable)
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
        return if several { Read::Several } else { one.read() };
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

/// Returns the amounts among tokens.
fn amounts(tokens: &[Token]) -> Vec<Found> {
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
                if let Some(exponent) = scale(word, !token.spaced && word.len() <= 2) {
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
                        "by", "at", "is",
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) -> Option<String> {
        let said = match read(text).0 {
            Read::Amount(Amount { number, percent, .. }) => {
                format!("{}{}", number.with_prec(12).normalized().to_plain_string(), if percent { "%" } else { "" })
            }
            Read::Several => "several".to_owned(),
            Read::Unreadable => "unreadable".to_owned(),
            Read::Nothing => "nothing".to_owned(),
        };
        (said != expected).then(|| format!("{text:?} is {said}, and not {expected}"))
    }

    fn check_all(cases: &[(&str, &str)]) {
        let wrong: Vec<_> = cases.iter().filter_map(|(text, expected)| check(text, expected)).collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        check_all(&[
            ("42", "42"),
            ("1,234,567.50", "1234567.5"),
            ("= 12", "12"),
            ("1.5e3", "1500"),
            ("1.5E+06", "1500000"),
            ("−4", "-4"),
            ("–5", "-5"),
            ("-5", "-5"),
            ("minus 5", "-5"),
            ("negative 5", "-5"),
            ("It is minus 5 degrees", "-5"),
            ("1,2", "unreadable"),
            ("none", "nothing"),
            ("1e999999999", "unreadable"),
            ("It costs $1,234.50.", "1234.5"),
            ("-$5", "-5"),
            ("$-5", "-5"),
            ("5 €", "5"),
            ("€5.50", "5.5"),
            ("USD 5", "5"),
            ("US$5", "5"),
            ("5 dollars", "5"),
            ("**42**", "42"),
            ("`42`", "42"),
            ("$42$", "42"),
            ("\\(42\\)", "42"),
            ("<b>42</b>", "42"),
            ("42.", "42"),
            ("42 [1]", "42"),
            ("42[^2]", "42"),
            ("42<sup>3</sup>", "42"),
            ("He runs 42km, on the 2nd of the 1990s", "42"),
            ("a share of 3/4", "0.75"),
            ("5/0", "unreadable"),
            ("about 12%", "12%"),
            ("12 percent", "12%"),
            ("1 234", "1234"),
            ("1 234 567,5", "1234567.5"),
            ("1\u{202f}234", "1234"),
            ("1'234", "1234"),
            ("1.234,56", "1234.56"),
            ("1.234.567", "1234567"),
            ("1,00,000", "100000"),
            ("0,5", "0.5"),
            ("2 1/2", "2.5"),
            ("2 1/2 hours", "2.5"),
            ("2½", "2.5"),
            ("2 ½ cups", "2.5"),
            ("½", "0.5"),
            ("1.5 million", "1500000"),
            ("$2.5M", "2500000"),
            ("3k", "3000"),
            ("5 m", "5"),
            ("2 hundred", "200"),
            ("10^6", "1000000"),
            ("10⁶", "1000000"),
            ("1.5 × 10^6", "1500000"),
            ("1.5 x 10^6", "1500000"),
            ("1.5*10**6", "1500000"),
            ("$1.5 \\times 10^{6}$", "1500000"),
            ("1.5 \\cdot 10^{-3}", "0.0015"),
            ("\\boxed{5\\sqrt{2}}", "7.07106781187"),
            ("5√2", "7.07106781187"),
            ("\\boxed{2^{10}}", "1024"),
            ("\\frac{3}{4}", "0.75"),
            ("\\dfrac{3}{4}", "0.75"),
            ("\\frac34", "0.75"),
            ("-\\frac{3}{4}", "-0.75"),
            ("2\\frac{1}{2}", "2.5"),
            ("\\frac{3\\sqrt{6}}{5\\sqrt{5}}", "0.657267069006"),
            ("16\\sqrt{2}", "22.627416998"),
            ("\\boxed{\\sqrt[3]{8}}", "2"),
            ("2\\pi", "6.28318530718"),
            ("\\boxed{1{,}080}", "1080"),
            ("\\boxed{12\\,000}", "12000"),
            ("\\boxed{\\text{42 apples}}", "42"),
            ("\\boxed{42\\text{ cm}^2}", "42"),
            ("\\boxed{90^\\circ}", "90"),
            ("\\boxed{x = 5}", "5"),
            ("0.\\overline{3}", "0.333333333333"),
            ("\\boxed{5x}", "unreadable"),
            ("\\boxed{\\log 5}", "unreadable"),
            ("between 3 and 5", "several"),
            ("3-5", "several"),
            ("3 – 5 hours", "several"),
            ("3 or 4", "several"),
            ("The answer is 3 or 4.", "several"),
            ("The answer is 3, 4", "several"),
            ("3 to 5 days", "several"),
            ("10:30", "unreadable"),
            ("2025-03-01", "unreadable"),
            ("5 m²", "5"),
            ("The area is 5 m^2.", "5"),
        ]);
    }

    #[test]
    fn a_marked_answer_wins_over_the_last_number() {
        check_all(&[
            ("3*60 = <<3*60=180>>180, of 3 days\n#### 540\n\nQ: What of 7?", "540"),
            ("So $\\boxed{\\frac{3}{4}}$, as 1 = 1.", "0.75"),
            ("\\boxed{\\$1{,}080} in 3 weeks", "1080"),
            ("```json\n{ \"reasoning\": \"9 * 2 = 18 of 20\", \"answer\": \"18 dollars for 9\" }\n```", "18"),
            ("The answer is 42 apples, for 3 children.", "42"),
            ("**Answer:** 2 of 5", "2"),
            ("The final answer to this is: $20", "20"),
            ("The answer is not known. I think of 5", "5"),
            ("in 7 races she came in 6th\n#### 6th", "6"),
            ("{ \"reasoning\": \"of 5\", \"answer\": \"cannot be known\" }", "nothing"),
            ("First <<1+1=2>>2 and then 3", "3"),
            ("The answer is 3 + 4 = 7.", "7"),
            ("The answer is 1.5 million dollars.", "1500000"),
            ("The answer is $\\frac{1}{2}$.", "0.5"),
            ("She has 3 apples and 5 pears", "5"),
            ("3 * 4 = 12 eggs in 3 days", "12"),
            ("Die Antwort ist 42.", "42"),
            ("The answer is −5.", "-5"),
            ("#### -5", "-5"),
            ("A: 1,000", "1000"),
        ]);
    }
}
