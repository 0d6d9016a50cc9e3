//! What an expression consists of. Takes text, plain or TeX; gives tokens.

use std::{borrow::Cow, sync::LazyLock};

use bigdecimal::BigDecimal;
use regex::Regex;

use super::figure::{self, Figure};

#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Sign {
    Number(BigDecimal),
    /// A fraction in one character: `½`.
    Vulgar(BigDecimal),
    /// A number that counts a place: `6th`.
    Ordinal(BigDecimal),
    /// Digits that are no number, or TeX that no expression has.
    Unreadable,
    /// `+ - * / ^ ( ) [ ] { } , ; = < > | ! %` and `_`, one form of each; `≈` is `=`, `≤` is `L`, `≥` is `G`, `±` is `P`, `∪` is `U`.
    Mark(char),
    /// A TeX command that takes groups: `frac`, `sqrt`, `sin`.
    Command(String),
    /// Letters that stand together, outside `\text`.
    Word(String),
    /// What stands in `\text{…}`.
    Text(String),
}

#[derive(Clone, Debug)]
pub(in super::super) struct Token {
    pub sign: Sign,
    /// Whether a space stands before it.
    pub spaced: bool,
}

impl Token {
    pub(in super::super) fn is(&self, mark: char) -> bool {
        self.sign == Sign::Mark(mark)
    }

    /// Returns the token's letters, in lower case.
    pub(in super::super) fn word(&self) -> Option<String> {
        match &self.sign {
            Sign::Word(word) | Sign::Text(word) => Some(word.trim().to_lowercase()),
            _ => None,
        }
    }
}

/// The annotations of calculations in GSM8K's solutions, as in `<<48/2=24>>`.
static SUM: LazyLock<Regex> = LazyLock::new(|| compiled("<<[^<>\n]*>>"));
static TEXT: LazyLock<Regex> = LazyLock::new(|| {
    compiled(r"^\\(?:text|textbf|textit|textrm|textsf|mbox|hbox|mathrm|mathbf|mathit|mathsf|operatorname|rm|bf)\s*\{([^{}]*)\}")
});
static OVERLINE: LazyLock<Regex> = LazyLock::new(|| compiled(r"^([0-9]*)\.([0-9]*)\\overline\s*\{?([0-9]+)\}?"));

/// A thin space between groups of digits.
static THIN: LazyLock<Regex> = LazyLock::new(|| compiled(r"([0-9])\\,([0-9]{3})"));
/// Spaces that are no ASCII.
const WIDE: [char; 3] = ['\u{a0}', '\u{202f}', '\u{2009}'];
static DEGREE: LazyLock<Regex> = LazyLock::new(|| compiled(r"^\^\s*(?:\{\s*\\(?:circ|degree)\s*\}|\\(?:circ|degree))"));

fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is fixed and right")
}

/// TeX commands that change nothing.
const SILENT: [&str; 21] = [
    "left",
    "right",
    "big",
    "Big",
    "bigg",
    "Bigg",
    "bigl",
    "bigr",
    "Bigl",
    "Bigr",
    "displaystyle",
    "textstyle",
    "limits",
    "quad",
    "qquad",
    "circ",
    "degree",
    "boxed",
    "fbox",
    "ensuremath",
    "mathstrut",
];

/// Returns the tokens of a text. `list` says that commas part numbers.
pub(in super::super) fn tokens(text: &str, list: bool) -> Vec<Token> {
    let text = if text.contains("<<") { SUM.replace_all(text, "") } else { Cow::Borrowed(text) };
    let text = if text.contains('{') { Cow::Owned(text.replace("{,}", if list { "" } else { "," })) } else { text };
    let text = if text.contains("\\!") { Cow::Owned(text.replace(",\\!", if list { "" } else { "," })) } else { text };
    let text = if text.contains("\\,") { Cow::Owned(THIN.replace_all(&text, "$1,$2").into_owned()) } else { text };
    let text = if text.contains(WIDE) { Cow::Owned(text.replace(WIDE, " ")) } else { text };
    let mut tokens: Vec<Token> = Vec::new();
    let mut at = 0;
    let mut spaced = false;
    while let Some(character) = text[at..].chars().next() {
        let rest = &text[at..];
        let (sign, length) = match character {
            '~' => (None, 1),
            '^' if DEGREE.is_match(rest) => (None, DEGREE.find(rest).map_or(1, |found| found.end())),
            _ if character.is_whitespace() => (None, character.len_utf8()),
            '0'..='9' | '.' => match numeral(rest, list) {
                Some((sign, length)) => (Some(sign), length),
                None => (Some(Sign::Mark('.')), 1),
            },
            '\\' => command(rest),
            '$' | '€' | '£' | '¥' | '₹' | '°' | '`' | '"' | '“' | '”' | '\'' | '’' => {
                // A currency touches its number.
                at += character.len_utf8();
                continue;
            }
            '*' if rest.starts_with("**") => {
                let between = tokens.last().is_some_and(|last| matches!(last.sign, Sign::Number(_)))
                    && rest[2..].starts_with(|next: char| next.is_ascii_digit());
                (between.then_some(Sign::Mark('^')), 2)
            }
            '½' | '¼' | '¾' | '⅓' | '⅔' | '⅕' | '⅛' | '⅜' | '⅝' | '⅞' => {
                (Some(vulgar(character)), character.len_utf8())
            }
            '²' | '³' | '⁰' | '¹' | '⁴'..='⁹' | '⁻' => {
                let (sign, length) = raised(rest);
                tokens.push(Token { sign: Sign::Mark('^'), spaced: false });
                (Some(sign), length)
            }
            '√' => (Some(Sign::Command("sqrt".to_owned())), character.len_utf8()),
            'π' => (Some(Sign::Word("pi".to_owned())), character.len_utf8()),
            '∞' => (Some(Sign::Word("infinity".to_owned())), character.len_utf8()),
            _ if character.is_alphabetic() => {
                let word: String = rest.chars().take_while(|next| next.is_alphabetic()).collect();
                let length = word.len();
                (Some(Sign::Word(word)), length)
            }
            _ => (Some(Sign::Mark(unified(character))), character.len_utf8()),
        };
        match sign {
            Some(sign) => {
                tokens.push(Token { sign, spaced });
                spaced = false;
            }
            None => spaced = true,
        }
        at += length;
    }
    tokens
}

fn unified(character: char) -> char {
    match character {
        '−' | '–' | '—' | '‐' | '‑' | '‒' | '﹣' | '－' => '-',
        '×' | '·' | '⋅' | '∙' | '∗' => '*',
        '÷' | '∕' | '⁄' => '/',
        '≈' | '≅' | '≃' | '→' | '⇒' => '=',
        '≤' => 'L',
        '≥' => 'G',
        '±' => 'P',
        '∪' => 'U',
        '％' => '%',
        other => other,
    }
}

/// Reads a numeral, and what makes it an ordinal or no number.
fn numeral(rest: &str, list: bool) -> Option<(Sign, usize)> {
    if let Some(found) = OVERLINE.captures(rest).filter(|found| found[2].len() + found[3].len() < 20) {
        let (whole, fixed, repeated) = (&found[1], &found[2], &found[3]);
        let all: BigDecimal = format!("{whole}{fixed}{repeated}").parse().ok()?;
        let head: BigDecimal = format!("0{whole}{fixed}").parse().ok()?;
        let below: BigDecimal = format!("{}{}", "9".repeat(repeated.len()), "0".repeat(fixed.len())).parse().ok()?;
        return Some((Sign::Number((all - head) / below), found[0].len()));
    }
    match figure::read(rest, list)? {
        Figure::Unreadable(length) => Some((Sign::Unreadable, length)),
        Figure::Number(number, length) => {
            let behind = &rest[length..];
            let letters: String = behind.chars().take_while(|next| next.is_alphabetic()).take(3).collect();
            match letters.as_str() {
                "st" | "nd" | "rd" | "th" => Some((Sign::Ordinal(number), length + 2)),
                // Decades and the like are no amounts.
                "s" if rest[..length].len() == 4 => Some((Sign::Unreadable, length + 1)),
                _ => Some((Sign::Number(number), length)),
            }
        }
    }
}

fn command(rest: &str) -> (Option<Sign>, usize) {
    if let Some(found) = TEXT.captures(rest) {
        // "\text{42 apples}" is a text with a number.
        if found[1].contains(|character: char| character.is_ascii_digit()) {
            return (None, found[0].len() - found[1].len() - 1);
        }
        return (Some(Sign::Text(found[1].to_owned())), found[0].len());
    }
    let name: String = rest[1..].chars().take_while(char::is_ascii_alphabetic).collect();
    if name.is_empty() {
        let Some(next) = rest[1..].chars().next() else { return (None, 1) };
        let sign = match next {
            '%' | '{' | '}' | '|' => Some(Sign::Mark(if next == '{' {
                '〈'
            } else if next == '}' {
                '〉'
            } else {
                next
            })),
            '\\' => Some(Sign::Mark('\n')),
            _ => None,
        };
        return (sign, 1 + next.len_utf8());
    }
    let length = 1 + name.len();
    if SILENT.contains(&name.as_str()) {
        return (None, length);
    }
    let sign = match name.as_str() {
        "times" | "cdot" | "ast" => Sign::Mark('*'),
        "div" => Sign::Mark('/'),
        "pm" => Sign::Mark('P'),
        "cup" => Sign::Mark('U'),
        "le" | "leq" | "leqslant" => Sign::Mark('L'),
        "ge" | "geq" | "geqslant" => Sign::Mark('G'),
        "lt" => Sign::Mark('<'),
        "gt" => Sign::Mark('>'),
        "approx" | "implies" | "Rightarrow" | "rightarrow" | "to" | "sim" | "equiv" => Sign::Mark('='),
        "lbrace" => Sign::Mark('〈'),
        "rbrace" => Sign::Mark('〉'),
        "dfrac" | "tfrac" | "cfrac" | "frac" => Sign::Command("frac".to_owned()),
        "dbinom" | "tbinom" => Sign::Command("binom".to_owned()),
        "sqrt" | "binom" | "sin" | "cos" | "tan" | "cot" | "sec" | "csc" | "log" | "ln" | "exp" | "arcsin" | "arccos"
        | "arctan" | "begin" | "end" => Sign::Command(name),
        "pi" => Sign::Word("pi".to_owned()),
        "infty" => Sign::Word("infinity".to_owned()),
        "alpha" | "beta" | "gamma" | "theta" | "lambda" | "mu" | "phi" | "omega" | "sigma" | "rho" | "emptyset"
        | "varnothing" => Sign::Word(format!("\\{name}")),
        _ => Sign::Unreadable,
    };
    (Some(sign), length)
}

fn vulgar(character: char) -> Sign {
    let (above, below) = match character {
        '½' => (1, 2),
        '¼' => (1, 4),
        '¾' => (3, 4),
        '⅓' => (1, 3),
        '⅔' => (2, 3),
        '⅕' => (1, 5),
        '⅛' => (1, 8),
        '⅜' => (3, 8),
        '⅝' => (5, 8),
        _ => (7, 8),
    };
    Sign::Vulgar(BigDecimal::from(above) / BigDecimal::from(below))
}

/// Reads digits that stand raised.
fn raised(rest: &str) -> (Sign, usize) {
    let digit = |character: char| "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().position(|raised| raised == character);
    let mut number = String::new();
    let mut length = 0;
    for character in rest.chars() {
        match digit(character) {
            Some(value) => number.push_str(&value.to_string()),
            None if character == '⁻' && number.is_empty() => number.push('-'),
            None => break,
        }
        length += character.len_utf8();
    }
    (number.parse().map_or(Sign::Unreadable, Sign::Number), length)
}
