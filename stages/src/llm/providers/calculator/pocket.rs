//! A pocket calculator, which computes key by key in decimals of eight digits. Takes tokens; gives its display.

use bigdecimal::{BigDecimal, RoundingMode, Zero as _};

use super::{Refusal, language::Token};

const DIGITS: i64 = 8;

/// Presses the keys in the order of the words, and returns the display.
pub(crate) fn answer(tokens: &[Token]) -> Result<String, Refusal> {
    if let Some(missing) = tokens.iter().find_map(missing_key) {
        return Err(missing);
    }
    let mut display: Option<BigDecimal> = None;
    let mut pending: Option<&Token> = None;
    let mut keys = tokens.iter().peekable();
    while let Some(key) = keys.next() {
        let Token::Number(number) = key else {
            if display.is_none() || pending.is_some() || *key == Token::Percent {
                return Err(Refusal::Unreadable);
            }
            pending = Some(key);
            continue;
        };
        let entered = enter(number)?;
        let percent = keys.next_if(|next| **next == Token::Percent).is_some();
        display = Some(match (display, pending.take()) {
            (None, _) if percent => show(entered / 100)?,
            (None, _) => entered,
            (Some(shown), Some(operator)) => press(&shown, operator, &entered, percent)?,
            (Some(_), None) => return Err(Refusal::Unreadable),
        });
    }
    match (display, pending) {
        (Some(shown), None) => Ok(shown.normalized().to_plain_string()),
        _ => Err(Refusal::Unreadable),
    }
}

fn missing_key(token: &Token) -> Option<Refusal> {
    Some(match token {
        Token::Power | Token::Raised(_) => Refusal::unknown("powers"),
        Token::Root => Refusal::unknown("roots"),
        Token::Unit(_) => Refusal::unknown("units"),
        Token::Month => Refusal::unknown("dates"),
        Token::Open | Token::Close => Refusal::unknown("brackets"),
        Token::Unknown(word) => Refusal::Unknown(format!("the word \"{word}\"")),
        _ => return None,
    })
}

/// Applies an operator. A percentage is of the shown number in a sum, and of one in a product, as on such calculators.
fn press(shown: &BigDecimal, operator: &Token, entered: &BigDecimal, percent: bool) -> Result<BigDecimal, Refusal> {
    let adds = matches!(operator, Token::Plus | Token::Minus);
    let entered = match (percent, adds) {
        (false, _) => entered.clone(),
        (true, true) => show(shown * entered / 100)?,
        (true, false) => show(entered / 100)?,
    };
    show(match operator {
        Token::Plus => shown + entered,
        Token::Minus => shown - entered,
        Token::Times => shown * entered,
        _ if entered.is_zero() => return Err(Refusal::Error),
        _ => shown / entered,
    })
}

/// Returns the number that is keyed in. A number with more digits than the display has is an error.
fn enter(number: &BigDecimal) -> Result<BigDecimal, Refusal> {
    if show(number.clone())? == *number { Ok(number.clone()) } else { Err(Refusal::Error) }
}

/// Truncates a result to the eight digits of the display. A whole part of more digits is an error.
fn show(number: BigDecimal) -> Result<BigDecimal, Refusal> {
    let whole = number.with_scale_round(0, RoundingMode::Down).abs();
    let digits = if whole.is_zero() { 1 } else { i64::try_from(whole.digits()).unwrap_or(i64::MAX) };
    if digits > DIGITS {
        return Err(Refusal::Error);
    }
    Ok(number.with_scale_round(DIGITS - digits, RoundingMode::Down))
}
