//! Right is a number equal to a gold number, exactly or within a tolerance; thousands separators and trailing zeros aside.

use std::str::FromStr as _;

use bigdecimal::BigDecimal;

use super::{Judge, JudgeKind, does_not_know, exact::folded};
use crate::rows::{Answer, Grade, Question};

pub(super) const KIND: JudgeKind = JudgeKind {
    name: "numeric",
    version: 1,
    reads_file: false,
    open: |_, settings| {
        let tolerance = BigDecimal::try_from(settings.tolerance)
            .map_err(|error| engine::StageError::failed(format!("`tolerance` is no number: {error}")))?;
        Ok(Box::new(Numeric { tolerance, idk: settings.idk.to_vec() }))
    },
};

struct Numeric {
    tolerance: BigDecimal,
    idk: Vec<String>,
}

impl Judge for Numeric {
    fn grade(&self, question: &Question, answer: &Answer) -> Result<(Grade, String), engine::StageError> {
        let text = answer.text.as_deref().unwrap_or_default();
        if does_not_know(text, &self.idk) {
            return Ok((Grade::Idk, "says that it does not know".to_owned()));
        }
        let number = last_number(text);
        let right = question.gold.iter().find(|gold| match (&number, whole_number(gold)) {
            (Some(number), Some(gold)) => (number - gold).abs() <= self.tolerance,
            // A gold that is no number (a date, say) has to be said as it is written.
            _ => folded(gold) == folded(text),
        });
        Ok(match (right, number) {
            (Some(gold), _) => (Grade::Correct, format!("is {gold}")),
            (None, Some(number)) => (Grade::Incorrect, format!("says {}", number.normalized().to_plain_string())),
            (None, None) => (Grade::Incorrect, "has no number".to_owned()),
        })
    }
}

fn whole_number(text: &str) -> Option<BigDecimal> {
    parse(text.trim())
}

/// The last number in a text, which is where an explanation ends.
fn last_number(text: &str) -> Option<BigDecimal> {
    whole_number(text).or_else(|| text.split_whitespace().rev().find_map(parse))
}

/// Digits beyond which an exponent is no number that anybody meant.
const LONGEST: usize = 400;

fn parse(word: &str) -> Option<BigDecimal> {
    let word = word.trim_matches(|character: char| !character.is_ascii_alphanumeric() && !"+-−.".contains(character));
    let word = word.trim_end_matches('.').replace('−', "-");
    if !grouped(&word) || word.len() > LONGEST {
        return None;
    }
    let plain = word.replace(',', "");
    let exponent = plain.to_lowercase().split_once('e').and_then(|(_, exponent)| i64::from_str(exponent).ok());
    if exponent.is_some_and(|exponent| exponent.unsigned_abs() > LONGEST as u64) {
        return None;
    }
    BigDecimal::from_str(&plain).ok()
}

/// Whether commas, if there are any, stand before groups of three digits.
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
        assert_eq!(last_number(text), number.map(|number| BigDecimal::from_str(number).unwrap()), "{text}");
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
    }
}
