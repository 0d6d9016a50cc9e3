//! A scientific calculator, which computes by precedence in 64-bit floating point. Takes tokens; gives its display.

use bigdecimal::BigDecimal;

use super::{Refusal, language::Token};

/// The units that it converts: name, what the unit measures, and its size in the smallest unit of that measure.
const UNITS: &[(&str, &str, f64)] = &[
    ("millimetre", "length", 1.0),
    ("centimetre", "length", 10.0),
    ("inch", "length", 25.4),
    ("metre", "length", 1000.0),
    ("kilometre", "length", 1_000_000.0),
    ("gram", "weight", 1.0),
    ("kilogram", "weight", 1000.0),
    ("second", "time", 1.0),
    ("minute", "time", 60.0),
    ("hour", "time", 3600.0),
];

/// Nesting of brackets, signs and roots that is evaluated. Such calculators have a limit too, and the stack would overflow without one.
const DEPTH: usize = 200;

/// Evaluates the whole line, and returns every digit of the floating-point number.
pub(crate) fn answer(tokens: &[Token]) -> Result<String, Refusal> {
    if let Some(missing) = tokens.iter().find_map(missing_key) {
        return Err(missing);
    }
    let (line, unit) = take_target(tokens)?;
    let mut parser = Parser { tokens: &line, at: 0, depth: 0, measure: unit.map(|(_, measure, _)| measure) };
    let value = parser.sum()? / unit.map_or(1.0, |(_, _, size)| size);
    if parser.at < line.len() {
        return Err(Refusal::Unreadable);
    }
    if value.is_finite() { Ok(value.to_string()) } else { Err(Refusal::Error) }
}

fn missing_key(token: &Token) -> Option<Refusal> {
    Some(match token {
        Token::Percent => Refusal::unknown("a percent key"),
        Token::Month => Refusal::unknown("dates"),
        Token::Unit(name) if unit(name).is_none() => Refusal::Unknown(format!("{name}s")),
        Token::Unknown(word) => Refusal::Unknown(format!("the word \"{word}\"")),
        _ => return None,
    })
}

type Unit = (&'static str, &'static str, f64);

fn unit(name: &str) -> Option<Unit> {
    UNITS.iter().find(|(known, _, _)| *known == name).copied()
}

/// Separates the unit to convert to, which is the one that no number stands before, from the rest of the line.
fn take_target(tokens: &[Token]) -> Result<(Vec<Token>, Option<Unit>), Refusal> {
    let mut line: Vec<Token> = Vec::new();
    let mut target = None;
    for token in tokens {
        match (token, line.last()) {
            (Token::Unit(name), before) if !matches!(before, Some(Token::Number(_))) => {
                if target.is_some() {
                    return Err(Refusal::Unreadable);
                }
                target = unit(name);
            }
            _ => line.push(token.clone()),
        }
    }
    let measured = line.iter().any(|token| matches!(token, Token::Unit(_)));
    if measured == target.is_some() { Ok((line, target)) } else { Err(Refusal::Unreadable) }
}

struct Parser<'tokens> {
    tokens: &'tokens [Token],
    at: usize,
    depth: usize,
    measure: Option<&'static str>,
}

impl Parser<'_> {
    fn next(&mut self, wanted: &[Token]) -> Option<Token> {
        let found = self.tokens.get(self.at).filter(|token| wanted.contains(token))?;
        self.at += 1;
        Some(found.clone())
    }

    fn sum(&mut self) -> Result<f64, Refusal> {
        let mut value = self.product()?;
        while let Some(operator) = self.next(&[Token::Plus, Token::Minus]) {
            let right = self.product()?;
            value = if operator == Token::Plus { value + right } else { value - right };
        }
        Ok(value)
    }

    fn product(&mut self) -> Result<f64, Refusal> {
        let mut value = self.signed()?;
        while let Some(operator) = self.next(&[Token::Times, Token::Over]) {
            let right = self.signed()?;
            value = if operator == Token::Times { value * right } else { value / right };
        }
        Ok(value)
    }

    /// Parses a signed value. All recursion goes through this function, so it counts the depth.
    fn signed(&mut self) -> Result<f64, Refusal> {
        if self.depth == DEPTH {
            return Err(Refusal::Unreadable);
        }
        self.depth += 1;
        let value = self.powers();
        self.depth -= 1;
        value
    }

    fn powers(&mut self) -> Result<f64, Refusal> {
        if self.next(&[Token::Minus]).is_some() {
            return Ok(-self.signed()?);
        }
        if self.next(&[Token::Root]).is_some() {
            let value = self.signed()?.sqrt();
            return if value.is_nan() { Err(Refusal::Error) } else { Ok(value) };
        }
        let mut value = self.atom()?;
        loop {
            value = match self.tokens.get(self.at) {
                Some(Token::Raised(exponent)) => {
                    self.at += 1;
                    power(value, *exponent)
                }
                Some(Token::Power) => {
                    self.at += 1;
                    let exponent = self.atom()?;
                    if exponent.fract() != 0.0 || !(0.0..=1000.0).contains(&exponent) {
                        return Err(Refusal::unknown("such powers"));
                    }
                    power(value, exponent as u32)
                }
                Some(Token::Unit(name)) => {
                    self.at += 1;
                    let (_, measure, size) = unit(name).ok_or(Refusal::Unreadable)?;
                    if self.measure != Some(measure) {
                        return Err(Refusal::Unreadable);
                    }
                    value * size
                }
                _ => return Ok(value),
            };
        }
    }

    fn atom(&mut self) -> Result<f64, Refusal> {
        let token = self.tokens.get(self.at).ok_or(Refusal::Unreadable)?;
        self.at += 1;
        match token {
            Token::Number(number) => Ok(float(number)),
            Token::Open => {
                let value = self.sum()?;
                self.next(&[Token::Close]).map(|_| value).ok_or(Refusal::Unreadable)
            }
            _ => Err(Refusal::Unreadable),
        }
    }
}

/// Returns the nearest floating-point number, by parsing the decimal's text.
fn float(number: &BigDecimal) -> f64 {
    number.to_plain_string().parse().unwrap_or(f64::NAN)
}

/// Computes a power by repeated multiplication, since the library's function may differ between processors.
fn power(base: f64, exponent: u32) -> f64 {
    (0..exponent).fold(1.0, |value, _| value * base)
}
