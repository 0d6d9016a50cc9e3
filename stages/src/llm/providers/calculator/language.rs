//! How a calculator reads English. Takes a question; gives the keys that it asks for, in the order of the words.

use bigdecimal::BigDecimal;

/// A key that one word, sign or fixed phrase asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    Number(BigDecimal),
    Plus,
    Minus,
    Times,
    Over,
    Percent,
    /// "to the power of": the exponent follows.
    Power,
    /// "squared", "cubed": the exponent is in the word.
    Raised(u32),
    Root,
    /// A unit of measure, in the singular.
    Unit(&'static str),
    /// The name of a month.
    Month,
    Open,
    Close,
    /// A word that no calculator knows.
    Unknown(String),
}

/// Reads a question into tokens. Words that only make it a sentence give no token, and "and" adds if a number stands before it and
/// no other key behind it.
pub(crate) fn read(question: &str) -> Vec<Token> {
    let words = split(question);
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let rest = &words[at..];
        if let Some((value, length)) = spelled(rest) {
            tokens.push(Token::Number(BigDecimal::from(value)));
            at += length;
        } else if let Some((phrase, token)) = PHRASES.iter().find(|(phrase, _)| begins(rest, phrase)) {
            tokens.push(token.clone());
            at += phrase.len();
        } else if rest[0] == "and" {
            let after = read_word(rest.get(1).map_or("", String::as_str));
            let adds = tokens.iter().any(|token| matches!(token, Token::Number(_)))
                && !after.iter().any(|token| matches!(token, Token::Plus | Token::Minus | Token::Times | Token::Over));
            tokens.extend(adds.then_some(Token::Plus));
            at += 1;
        } else {
            tokens.extend(read_word(&rest[0]));
            at += 1;
        }
    }
    tokens
}

const PHRASES: &[(&[&str], Token)] = &[
    (&["to", "the", "power", "of"], Token::Power),
    (&["square", "root", "of"], Token::Root),
    (&["divided", "by"], Token::Over),
    (&["multiplied", "by"], Token::Times),
    (&["gives", "away"], Token::Minus),
];

const FILLERS: &[&str] = &[
    "a",
    "ann",
    "are",
    "away",
    "bag",
    "bags",
    "box",
    "boxes",
    "calculate",
    "coin",
    "coins",
    "convert",
    "days",
    "does",
    "each",
    "eva",
    "find",
    "finds",
    "from",
    "gets",
    "has",
    "have",
    "how",
    "in",
    "is",
    "it",
    "left",
    "make",
    "many",
    "much",
    "now",
    "out",
    "pack",
    "packs",
    "pen",
    "pens",
    "please",
    "stamp",
    "stamps",
    "than",
    "the",
    "there",
    "to",
    "tom",
    "what",
    "work",
];

const UNITS: &[&str] = &[
    "millimetre",
    "centimetre",
    "metre",
    "kilometre",
    "inch",
    "gram",
    "kilogram",
    "second",
    "minute",
    "hour",
    "mile",
    "yard",
    "pound",
    "gallon",
];

const MONTHS: &[&str] =
    &["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];

/// Returns the keys that a single word asks for; none for a filler.
fn read_word(word: &str) -> Vec<Token> {
    let one = match word {
        "+" | "plus" => Token::Plus,
        "-" | "−" | "–" | "minus" | "less" | "loses" | "sells" => Token::Minus,
        "×" | "*" | "times" | "of" => Token::Times,
        "÷" | "/" => Token::Over,
        "%" | "percent" => Token::Percent,
        "^" => Token::Power,
        "squared" => Token::Raised(2),
        "cubed" => Token::Raised(3),
        "(" => Token::Open,
        ")" => Token::Close,
        "half" => Token::Number(BigDecimal::new(5.into(), 1)),
        "double" | "twice" => return vec![Token::Number(2.into()), Token::Times],
        _ if word.is_empty() || FILLERS.contains(&word) => return Vec::new(),
        _ if MONTHS.contains(&word) => Token::Month,
        _ if word.starts_with(|first: char| first.is_ascii_digit()) => {
            word.parse().map_or_else(|_| Token::Unknown(word.to_owned()), Token::Number)
        }
        _ => {
            let singular = if word == "inches" { "inch" } else { word.strip_suffix('s').unwrap_or(word) };
            UNITS.iter().find(|unit| **unit == singular).map_or_else(|| Token::Unknown(word.to_owned()), |unit| Token::Unit(unit))
        }
    };
    vec![one]
}

fn begins(words: &[String], phrase: &[&str]) -> bool {
    words.len() >= phrase.len() && words.iter().zip(phrase).all(|(word, expected)| word == expected)
}

/// Splits a question into lower-case words, numbers without their thousands separators, and signs.
fn split(question: &str) -> Vec<String> {
    let letters: Vec<char> = question.to_lowercase().chars().collect();
    let digit = |at: usize| letters.get(at).is_some_and(char::is_ascii_digit);
    let mut words = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        let start = at;
        if digit(at) {
            while digit(at) || (matches!(letters.get(at), Some('.' | ',')) && digit(at + 1)) {
                at += 1;
            }
            words.push(letters[start..at].iter().filter(|letter| **letter != ',').collect());
        } else if letters[at].is_alphabetic() {
            while letters.get(at).is_some_and(|letter| letter.is_alphabetic() || *letter == '\'') {
                at += 1;
            }
            // A hyphen between letters, as in "thirty-one", is no minus.
            let hyphen = letters.get(at) == Some(&'-') && letters.get(at + 1).is_some_and(|next| next.is_alphabetic());
            words.push(letters[start..at].iter().collect());
            at += usize::from(hyphen);
        } else {
            if !letters[at].is_whitespace() && !matches!(letters[at], '?' | '!' | '.' | ',' | ':' | ';' | '=' | '"') {
                words.push(letters[at].to_string());
            }
            at += 1;
        }
    }
    words
}

const SMALL: &[&str] = &[
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: &[&str] = &["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

/// Returns the number below a million that is spelled out at the start of `words`, and how many words it takes.
fn spelled(words: &[String]) -> Option<(u64, usize)> {
    let (mut value, mut length) = hundreds(words)?;
    if words.get(length).is_some_and(|word| word == "thousand") {
        value *= 1000;
        length += 1;
        if let Some((rest, more)) = hundreds(&words[length..]) {
            return Some((value + rest, length + more));
        }
    }
    Some((value, length))
}

fn hundreds(words: &[String]) -> Option<(u64, usize)> {
    let (value, length) = tens(words)?;
    if value >= 10 || words.get(length).is_none_or(|word| word != "hundred") {
        return Some((value, length));
    }
    let after = length + 1;
    let joined = after + usize::from(words.get(after).is_some_and(|word| word == "and"));
    match tens(&words[joined.min(words.len())..]) {
        Some((rest, more)) => Some((value * 100 + rest, joined + more)),
        None => Some((value * 100, after)),
    }
}

fn tens(words: &[String]) -> Option<(u64, usize)> {
    let place = |list: &[&str], at: usize| {
        words.get(at).and_then(|word| list.iter().position(|name| name == word)).map(|place| place as u64)
    };
    if let Some(small) = place(SMALL, 0) {
        return Some((small, 1));
    }
    let value = 20 + 10 * place(TENS, 0)?;
    match place(&SMALL[..10], 1) {
        Some(unit) if unit > 0 => Some((value + unit, 2)),
        _ => Some((value, 1)),
    }
}
