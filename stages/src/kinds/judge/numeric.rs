//! The judge `numeric`: right is what says a gold number, exactly or within a tolerance; thousands separators, currencies, units and
//! trailing zeros aside. Takes a question and an answer; gives a grade.
//!
//! The number is looked for where models and benchmarks put it: in an `answer` field of JSON, behind `####`, in `\boxed{…}`, behind
//! "the answer is"; failing these, it is the last number of the answer.

use std::{str::FromStr as _, sync::LazyLock};

use bigdecimal::{BigDecimal, Zero as _};
use engine::{Context, ParamMistake, StageError};
use regex::Regex;

use super::{
    exact::folded,
    grader::{self, Graded, Opening, Reader},
};
use crate::{
    defaults::is_default,
    part::settings,
    rows::{Grade, Question},
};

settings! {
    /// What only this judge takes.
    pub(crate) struct Params {
        /// How far a number may be from the gold, for `numeric`.
        tolerance: f64 = 0.0,
        /// The same as a share of the gold number, for `numeric`; the larger of both counts.
        #[serde(skip_serializing_if = "is_default")]
        relative_tolerance: f64 = 0.0,
    }
}

pub(super) struct Judge {
    tolerance: BigDecimal,
    relative_tolerance: BigDecimal,
    idk: Vec<String>,
}

impl grader::Judge for Judge {
    const NAME: &'static str = "numeric";
    const VERSION: u32 = 2;
    const SUMMARY: &'static str = "an answer is right if it comes to a gold number, exactly or within a tolerance";
    const EXAMPLE: &'static str = "{ judge: numeric, relative_tolerance: 0.01 }";
    type Params = Params;

    fn mistakes(params: &Params) -> Vec<ParamMistake> {
        let given = [("tolerance", params.tolerance), ("relative_tolerance", params.relative_tolerance)];
        let wrong = given.into_iter().filter(|(_, tolerance)| !(*tolerance >= 0.0 && tolerance.is_finite()));
        wrong
            .map(|(name, _)| ParamMistake::new(&[name], format!("`{name}` must not be negative"), "give 0 for exact comparison"))
            .collect()
    }

    fn open(_: &Context, params: &Params, common: &Opening<'_>) -> Result<Self, StageError> {
        let read = |name: &str, value: f64| {
            BigDecimal::try_from(value).map_err(|error| StageError::failed(format!("`{name}` is no number: {error}")))
        };
        Ok(Self {
            tolerance: read("tolerance", params.tolerance)?,
            relative_tolerance: read("relative_tolerance", params.relative_tolerance)?,
            idk: common.idk.to_vec(),
        })
    }
}

impl Reader for Judge {
    fn idk(&self) -> &[String] {
        &self.idk
    }

    fn read(&self, question: &Question, text: &str) -> Result<Graded, StageError> {
        let number = answered(text);
        let right = question.gold.iter().find(|gold| match (&number, gold_number(gold)) {
            (Some(number), Some(gold)) => (number - &gold).abs() <= self.allowed(&gold),
            // A gold answer that is no number, such as a date, has to be repeated as it is written.
            _ => folded(gold) == folded(text),
        });
        Ok(match (right, number) {
            (Some(gold), _) => Graded::new(Grade::Correct, format!("is {gold}")),
            (None, Some(number)) => Graded::new(Grade::Incorrect, format!("says {}", number.normalized().to_plain_string())),
            (None, None) => Graded::new(Grade::Incorrect, "has no number"),
        })
    }
}

impl Judge {
    fn allowed(&self, gold: &BigDecimal) -> BigDecimal {
        self.tolerance.clone().max(&self.relative_tolerance * gold.abs())
    }
}

fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is fixed and right")
}

/// Marks of an answer that can mean nothing else.
static MARKS: LazyLock<[Regex; 3]> = LazyLock::new(|| {
    [
        compiled(r#""answer"\s*:\s*"?([^"\n]*)"#),
        compiled(r"####\s*([^\n]+)"),
        compiled(r"\\boxed\s*\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}"),
    ]
});

/// A sentence that announces the answer.
static SENTENCE: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?i)\banswer\b[^.\n]{0,40}?(?:\bis\b|:|=)\s*([^\n]+)"));

/// A number at the start of a word. `6th` and `2:00` begin with one too, and are no answers.
static LEADING: LazyLock<Regex> = LazyLock::new(|| compiled(r"\d[\d,]*(?:\.\d+)?"));

/// The annotations of calculations in GSM8K's solutions, as in `<<48/2=24>>`.
static SUM: LazyLock<Regex> = LazyLock::new(|| compiled("<<[^<>\n]*>>"));

/// TeX's fractions, spaces and text commands, which are read as plain text.
static FRACTION: LazyLock<Regex> = LazyLock::new(|| compiled(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}"));
static TEX: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"\\(?:text|mathrm|mathbf|textbf)\s*\{([^{}]*)\}|\\[,;! ]|\\(?:left|right|circ|degree)\b|[{}]"));

fn plain(text: &str) -> String {
    let text = SUM.replace_all(text, "");
    let text = FRACTION.replace_all(&text, "$1/$2");
    let text = text.replace("{,}", ",");
    let text = TEX.replace_all(&text, " $1");
    text.replace("\\$", "$").replace("\\%", "%").replace('−', "-")
}

/// Returns the number that an answer comes to.
fn answered(text: &str) -> Option<BigDecimal> {
    if let Some(number) = parse(text.trim()) {
        return Some(number);
    }
    let behind = |mark: &Regex| {
        let said = plain(mark.captures_iter(text).last()?.get(1)?.as_str());
        // "3 + 4 = 7" comes to what stands behind the equals sign.
        Some(said.rsplit('=').next().unwrap_or_default().to_owned())
    };
    if let Some(said) = MARKS.iter().find_map(behind) {
        return words(&said).find_map(parse).or_else(|| parse(LEADING.find(&said)?.as_str()));
    }
    behind(&SENTENCE).and_then(|said| words(&said).find_map(parse)).or_else(|| {
        let text = plain(text);
        words(&text).rev().find_map(parse)
    })
}

fn words(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.split(|character: char| character.is_whitespace() || character == '=').filter(|word| !word.is_empty())
}

/// Returns the number of a gold answer that is a number and nothing else.
fn gold_number(text: &str) -> Option<BigDecimal> {
    let plain = plain(text);
    let marked = plain.rsplit("####").next().unwrap_or_default().trim();
    if marked.split_whitespace().count() == 1 { parse(marked) } else { None }
}

/// Digits of the longest number that is read: a larger exponent would make a number that nobody meant.
const LONGEST: usize = 400;

/// Parses a word as a number, without a currency before it and a unit behind it.
fn parse(word: &str) -> Option<BigDecimal> {
    let word = word.trim_matches(|character: char| !character.is_ascii_alphanumeric() && !"+-−.".contains(character));
    let word = word.trim_end_matches(['.', '-', '+']).replace('−', "-");
    let (sign, rest) = word.split_at(word.len() - word.trim_start_matches(['+', '-']).len());
    let rest = rest.trim_start_matches(['$', '€', '£', '¥']);
    let word = format!("{sign}{rest}");
    if word.len() > LONGEST {
        return None;
    }
    match word.split_once('/') {
        Some((above, below)) => {
            let (above, below) = (decimal(above)?, decimal(below)?);
            (!below.is_zero()).then(|| above / below)
        }
        None => decimal(&word).or_else(|| decimal(without_unit(&word)?)),
    }
}

/// Returns a word without the unit at its end, as `42` of `42km`. Returns nothing for `2nd` and `1990s`, which are no amounts.
fn without_unit(word: &str) -> Option<&str> {
    let unit = word.trim_start_matches(|character: char| character.is_ascii_digit() || "+-.,".contains(character));
    let short = (1..=4).contains(&unit.len()) && unit.chars().all(char::is_alphabetic);
    let number = &word[..word.len() - unit.len()];
    (short && !["st", "nd", "rd", "th", "s"].contains(&unit)).then_some(number)
}

fn decimal(word: &str) -> Option<BigDecimal> {
    if !grouped(word) || !word.ends_with(|last: char| last.is_ascii_digit() || last == '.') {
        return None;
    }
    let plain = word.replace(',', "");
    let exponent = plain.to_lowercase().split_once('e').and_then(|(_, exponent)| i64::from_str(exponent).ok());
    if exponent.is_some_and(|exponent| exponent.unsigned_abs() > LONGEST as u64) {
        return None;
    }
    BigDecimal::from_str(&plain).ok()
}

/// Returns whether commas, if there are any, stand before groups of three digits.
fn grouped(word: &str) -> bool {
    let whole = word.trim_start_matches(['+', '-']).split('.').next().unwrap_or_default();
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let rest: Vec<_> = groups.collect();
    rest.is_empty() || (1..=3).contains(&first.len()) && rest.iter().all(|group| group.len() == 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, number: Option<&str>) {
        assert_eq!(answered(text), number.map(|number| BigDecimal::from_str(number).unwrap()), "{text}");
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        check("1,234,567.50", Some("1234567.5"));
        check("= 12", Some("12"));
        check("The answer is 3 + 4 = 7.", Some("7"));
        check("1.5e3", Some("1500"));
        check("−4", Some("-4"));
        check("1,2", None);
        check("none", None);
        check("1e999999999", None);
        check("It costs $1,234.50.", Some("1234.5"));
        check("-$5", Some("-5"));
        check("He runs 42km, on the 2nd of the 1990s", Some("42"));
        check("a share of 3/4", Some("0.75"));
        check("5/0", None);
        check("about 12%", Some("12"));
    }

    #[test]
    fn a_marked_answer_wins_over_the_last_number() {
        check("3*60 = <<3*60=180>>180, of 3 days\n#### 540\n\nQ: What of 7?", Some("540"));
        check("So $\\boxed{\\frac{3}{4}}$, as 1 = 1.", Some("0.75"));
        check("\\boxed{\\$1{,}080} in 3 weeks", Some("1080"));
        check("```json\n{ \"reasoning\": \"9 * 2 = 18 of 20\", \"answer\": \"18 dollars for 9\" }\n```", Some("18"));
        check("The answer is 42 apples, for 3 children.", Some("42"));
        check("**Answer:** 2 of 5", Some("2"));
        check("The final answer to this is: $20", Some("20"));
        check("The answer is not known. I think of 5", Some("5"));
        check("in 7 races she came in 6th\n#### 6th", Some("6"));
        check("{ \"reasoning\": \"of 5\", \"answer\": \"cannot be known\" }", None);
        check("First <<1+1=2>>2 and then 3", Some("3"));
    }

    #[test]
    fn a_gold_answer_is_a_number_or_none() {
        let gold = |text: &str| gold_number(text).map(|number| number.normalized().to_string());
        assert_eq!(
            (gold("$1,000"), gold("#### 72"), gold("\\frac{1}{2}")),
            (Some("1000".into()), Some("72".into()), Some("0.5".into()))
        );
        assert_eq!((gold("3 March 2025"), gold("2025-03-01"), gold("Paris")), (None, None, None));
    }

    #[test]
    fn a_tolerance_is_absolute_or_relative() {
        let judge = |tolerance: &str, relative: &str| Judge {
            tolerance: tolerance.parse().unwrap(),
            relative_tolerance: relative.parse().unwrap(),
            idk: Vec::new(),
        };
        let allowed = |judge: Judge, gold: i32| judge.allowed(&BigDecimal::from(gold));
        assert_eq!(allowed(judge("0.5", "0.01"), -200), BigDecimal::from(2));
        assert_eq!(allowed(judge("0.5", "0.01"), 10), BigDecimal::from_str("0.5").unwrap());
    }
}
