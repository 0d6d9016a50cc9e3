//! The wording of questions. Takes numbers, operators and chains; gives English.

use bigdecimal::BigDecimal;
use rand_chacha::ChaCha8Rng;

use super::{
    draw::{below, pick},
    expression::{Chain, Operator},
};

/// How operators and numbers are written in one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// `12 × 31 + 45`
    Signs,
    /// `12 times 31 plus 45`
    Words,
    /// `twelve times thirty-one plus forty-five`: only for whole numbers below a hundred.
    Spelled,
}

impl Style {
    /// Draws signs or words.
    pub(crate) fn draw(random: &mut ChaCha8Rng) -> Self {
        if below(random, 2) == 0 { Self::Signs } else { Self::Words }
    }

    pub(crate) fn operator(self, operator: Operator) -> &'static str {
        match (self, operator) {
            (Self::Signs, Operator::Plus) => "+",
            (Self::Signs, Operator::Minus) => "-",
            (Self::Signs, Operator::Times) => "×",
            (Self::Signs, Operator::Over) => "÷",
            (_, Operator::Plus) => "plus",
            (_, Operator::Minus) => "minus",
            (_, Operator::Times) => "times",
            (_, Operator::Over) => "divided by",
        }
    }

    pub(crate) fn number(self, number: &BigDecimal) -> String {
        match (self, number.to_plain_string().parse::<usize>()) {
            (Self::Spelled, Ok(small)) if small < 100 => spell(small),
            _ => number.to_plain_string(),
        }
    }

    pub(crate) fn chain(self, chain: &Chain) -> String {
        self.following(&self.number(&chain.first), &chain.rest)
    }

    /// Returns `text` with further terms behind it.
    pub(crate) fn following(self, text: &str, terms: &[(Operator, BigDecimal)]) -> String {
        terms.iter().fold(text.to_owned(), |text, (operator, operand)| {
            format!("{text} {} {}", self.operator(*operator), self.number(operand))
        })
    }
}

/// Writes a question for the value of an expression, in one of the wordings that all kinds share.
pub(crate) fn ask(random: &mut ChaCha8Rng, expression: &str) -> String {
    match below(random, 4) {
        0 => format!("What is {expression}?"),
        1 => format!("How much is {expression}?"),
        2 => format!("Calculate {expression}."),
        _ => format!("{} = ?", capitalised(expression)),
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Draws the name of somebody who owns things.
pub(crate) fn person(random: &mut ChaCha8Rng) -> &'static str {
    pick(random, &["Ann", "Tom", "Eva"])
}

/// Draws a thing to count and the container that it comes in.
pub(crate) fn goods(random: &mut ChaCha8Rng) -> (&'static str, &'static str) {
    pick(random, &[("coins", "bags"), ("pens", "boxes"), ("stamps", "packs")])
}

fn spell(number: usize) -> String {
    const SMALL: [&str; 20] = [
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
    const TENS: [&str; 10] = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    match (number, number % 10) {
        (..20, _) => SMALL[number].to_owned(),
        (_, 0) => TENS[number / 10].to_owned(),
        (_, unit) => format!("{}-{}", TENS[number / 10], SMALL[unit]),
    }
}
