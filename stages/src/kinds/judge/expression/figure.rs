//! Numerals as people write them. Takes text that begins with a digit; gives the number and how long its numeral is.
//!
//! Groups of thousands stand between commas, spaces, points or apostrophes; the decimals behind a point, or behind a comma where it can
//! be nothing else: `1,234.5`, `1 234,5`, `1.234,5`, `1'234`, `1,00,000`, `0,5`. `1.234` is a decimal number, and `1,2` is unreadable.

use std::{str::FromStr as _, sync::LazyLock};

use bigdecimal::BigDecimal;
use regex::Regex;

/// Digits of the longest number that is read: a larger exponent would make a number that nobody meant.
const LONGEST: usize = 400;

/// A numeral at the beginning of a text.
pub(super) enum Figure {
    /// The number, and the length of its numeral.
    Number(BigDecimal, usize),
    /// Digits that are no number, as of a time or a date, and their length.
    Unreadable(usize),
}

/// How thousands and decimals are parted.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Commas,
    Spaces,
    Points,
    Plain,
}

static FORMS: LazyLock<[(Form, Regex); 4]> = LazyLock::new(|| {
    [
        (Form::Commas, compiled(r"^[0-9]{1,3}(?:,[0-9]{2})*(?:,[0-9]{3})+(?:\.[0-9]+)?")),
        (Form::Points, compiled(r"^[0-9]{1,3}(?:(?:\.[0-9]{3}){2,}(?:,[0-9]+)?|(?:\.[0-9]{3})+,[0-9]+)")),
        (Form::Spaces, compiled(r"^[1-9][0-9]{0,2}(?:(?: [0-9]{3})+|(?:['’_][0-9]{3})+)(?:[.,][0-9]+)?")),
        (Form::Plain, compiled(r"^(?:0,[0-9]+|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?)")),
    ]
});

static TIME_OR_DATE: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"^(?:[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}|[0-9]{1,2}/[0-9]{1,2}/[0-9]{2,4})(?:[^0-9]|$)",
    )
});

static DIGITS: LazyLock<Regex> = LazyLock::new(|| compiled(r"^[0-9.]+(?:[.,:][0-9]+)*"));

fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is fixed and right")
}

/// Reads the numeral with which a text begins. `list` says that commas part numbers, as in `(1,2)`.
pub(super) fn read(text: &str, list: bool) -> Option<Figure> {
    let begins = text.starts_with(|first: char| first.is_ascii_digit())
        || text.starts_with('.') && text[1..].starts_with(|next: char| next.is_ascii_digit());
    if !begins {
        return None;
    }
    // Most numerals are a few digits.
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if let Some(found) = TIME_OR_DATE.find(text).filter(|_| digits > 0) {
        return Some(Figure::Unreadable(found.as_str().trim_end_matches(|last: char| !last.is_ascii_digit()).len()));
    }
    let forms = FORMS.iter().filter(|(form, _)| *form == Form::Plain || !(list && matches!(form, Form::Commas | Form::Spaces)));
    for (form, pattern) in forms {
        let Some(found) = pattern.find(text) else { continue };
        let numeral = found.as_str().trim_end_matches('.');
        let mut next = text[numeral.len()..].chars();
        let goes_on = match (next.next(), next.next()) {
            (Some(first), _) if first.is_ascii_digit() => true,
            (Some('.' | ':'), Some(second)) => second.is_ascii_digit(),
            (Some(','), Some(second)) => second.is_ascii_digit() && !list,
            _ => false,
        };
        if let Some(number) = decimal(numeral, *form).filter(|_| !goes_on) {
            return Some(Figure::Number(number, numeral.len()));
        }
    }
    Some(Figure::Unreadable(DIGITS.find(text)?.end()))
}

fn decimal(numeral: &str, form: Form) -> Option<BigDecimal> {
    let plain = match form {
        Form::Commas => numeral.replace(',', ""),
        Form::Points => numeral.replace('.', "").replace(',', "."),
        Form::Spaces => numeral.replace([' ', '\'', '’', '_'], "").replace(',', "."),
        Form::Plain => numeral.replace(',', "."),
    };
    let exponent = plain.to_lowercase().split_once('e').and_then(|(_, exponent)| i64::from_str(exponent).ok());
    let too_long = plain.len() > LONGEST || exponent.is_some_and(|exponent| exponent.unsigned_abs() > LONGEST as u64);
    if too_long { None } else { BigDecimal::from_str(&plain).ok() }
}
