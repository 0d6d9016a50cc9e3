//! The judge `numeric`: right is what comes to a gold number, exactly or within a tolerance. Takes a question and an answer; gives a
//! grade.
//!
//! `read` finds what an answer comes to, `amount` the amounts among its words, `unit` knows the words behind a number. Thousands separators, currencies, trailing
//! zeros and units that the gold does not have are set aside; where both have units, lengths, masses, times and money are converted.
//! A percentage equals the number before its sign, and, if only one side has the sign, its hundredth part. Several numbers, and what
//! cannot be read as one number, are no answer and are counted.
//!
//! Measured: agreement with the recorded verdicts 0.998 on `ZeroEval`'s GSM8K (11,871 answers), 0.995 on its MATH (7,210), 0.993 and 0.952
//! on `RouteLLM`'s GSM8K (Mixtral, GPT-4), whose grader takes `$144.00` for no 144 and the last number for the answer.

mod amount;
mod read;
mod unit;

#[cfg(test)]
mod forms;

use std::str::FromStr as _;

use bigdecimal::BigDecimal;
use engine::{Context, ParamMistake, StageError};

use super::{
    exact::folded,
    expression::tree,
    final_answer,
    grader::{self, Graded, Opening, Reader},
};
use crate::{
    defaults::is_default,
    part::settings,
    rows::{Grade, Question, Unclear},
};
use amount::Amount;
use read::Read;

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
    const VERSION: u32 = 3;
    const SUMMARY: &'static str = "for numbers: an answer is right if it comes to a gold number, exactly or within a tolerance";
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
        // A gold answer that is no number, such as a date, has to be repeated as it is written.
        let marked = final_answer::find(text);
        let written =
            |gold: &&String| folded(gold) == folded(text) || marked.as_deref().is_some_and(|said| folded(gold) == folded(said));
        if let Some(gold) = question.gold.iter().find(written) {
            return Ok(Graded::new(Grade::Correct, format!("is {gold}")).firm());
        }
        let (said, announced) = read::read(text);
        let amount = match said {
            Read::Amount(amount) => amount,
            Read::Several => {
                return Ok(Graded::new(Grade::Incorrect, "gives several numbers").unclear(Unclear::Several));
            }
            Read::Unreadable => {
                return Ok(Graded::new(Grade::Incorrect, "gives what cannot be read as one number").unclear(Unclear::Unreadable));
            }
            Read::Nothing => return Ok(Graded::new(Grade::Incorrect, "has no number").unclear(Unclear::Unreadable)),
        };
        let right = question.gold.iter().find(|gold| gold_amount(gold).is_some_and(|gold| self.equal(&amount, &gold)));
        let graded = match right {
            Some(gold) => Graded::new(Grade::Correct, format!("is {gold}")),
            None => Graded::new(Grade::Incorrect, format!("says {}", shown(&amount))),
        };
        Ok(if announced { graded.firm() } else { graded })
    }
}

impl Judge {
    /// Returns whether an amount is the gold amount.
    ///
    /// A percentage equals the number before its sign. If only one of the two has the sign, it equals that number's hundredth part too.
    fn equal(&self, said: &Amount, gold: &Amount) -> bool {
        if self.near(&in_unit_of(said, gold), &gold.number) {
            return units_agree(said, gold);
        }
        let hundredth = |number: &BigDecimal| number / BigDecimal::from(100);
        match (said.percent, gold.percent) {
            (true, false) => self.near(&hundredth(&said.number), &gold.number),
            (false, true) => self.near(&said.number, &hundredth(&gold.number)),
            _ => false,
        }
    }

    fn near(&self, number: &BigDecimal, gold: &BigDecimal) -> bool {
        tree::equal(number, gold) || (number - gold).abs() <= self.allowed(gold)
    }

    fn allowed(&self, gold: &BigDecimal) -> BigDecimal {
        self.tolerance.clone().max(&self.relative_tolerance * gold.abs())
    }
}

/// Returns the number of an amount in the unit of the gold, where both have units that measure the same.
fn in_unit_of(said: &Amount, gold: &Amount) -> BigDecimal {
    let factor = |unit: &str| unit::unit(unit).and_then(|(kind, factor)| Some((kind, BigDecimal::from_str(factor).ok()?)));
    match (factor(&said.unit), factor(&gold.unit)) {
        (Some((kind, factor)), Some((same, divisor))) if kind == same && factor != divisor => &said.number * factor / divisor,
        _ => said.number.clone(),
    }
}

/// Returns whether the units can be of one answer: one is missing, or they measure the same.
fn units_agree(said: &Amount, gold: &Amount) -> bool {
    match (unit::unit(&said.unit), unit::unit(&gold.unit)) {
        (Some((kind, _)), Some((same, _))) => kind == same,
        // A word that is no unit tells nothing beside one that is; two words that are none have to be the same.
        (None, None) if !said.unit.is_empty() && !gold.unit.is_empty() => {
            said.unit.trim_end_matches('s') == gold.unit.trim_end_matches('s')
        }
        _ => true,
    }
}

fn shown(amount: &Amount) -> String {
    let number = amount.number.with_prec(12).normalized().to_plain_string();
    if amount.percent { number + "%" } else { number }
}

/// Returns the amount of a gold answer that is an amount and nothing else.
fn gold_amount(text: &str) -> Option<Amount> {
    let marked = text.rsplit("####").next().unwrap_or_default();
    read::only(marked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(tolerance: &str, relative: &str) -> Judge {
        Judge { tolerance: tolerance.parse().unwrap(), relative_tolerance: relative.parse().unwrap(), idk: Vec::new() }
    }

    #[test]
    fn a_gold_answer_is_an_amount_or_none() {
        let gold = |text: &str| gold_amount(text).map(|gold| gold.number.normalized().to_string());
        assert_eq!(
            (gold("$1,000"), gold("#### 72"), gold("\\frac{1}{2}")),
            (Some("1000".into()), Some("72".into()), Some("0.5".into()))
        );
        assert_eq!((gold("3 March 2025"), gold("2025-03-01"), gold("Paris")), (None, None, None));
    }

    #[test]
    fn a_tolerance_is_absolute_or_relative() {
        let allowed = |judge: Judge, gold: i32| judge.allowed(&BigDecimal::from(gold));
        assert_eq!(allowed(judge("0.5", "0.01"), -200), BigDecimal::from(2));
        assert_eq!(allowed(judge("0.5", "0.01"), 10), BigDecimal::from_str("0.5").unwrap());
    }

    #[test]
    fn percent_and_units_follow_one_rule() {
        let judge = judge("0", "0");
        let equal = |said: &str, gold: &str| {
            let Read::Amount(said) = read::first(said) else { return false };
            judge.equal(&said, &gold_amount(gold).unwrap())
        };
        for (said, gold) in [
            ("50%", "50%"),
            ("50%", "50"),
            ("50", "50%"),
            ("50%", "0.5"),
            ("0.5", "50%"),
            ("5 km", "5 km"),
            ("5000 m", "5 km"),
            ("5", "5 km"),
            ("5 km", "5"),
            ("90 minutes", "1.5 hours"),
            ("150 cents", "1.5 dollars"),
            ("12 apples", "12 apple"),
            ("1/3", "2/6"),
            ("\\sqrt{8}", "2\\sqrt{2}"),
        ] {
            assert!(equal(said, gold), "{said} is {gold}");
        }
        for (said, gold) in
            [("0.5%", "50%"), ("5 kg", "5 km"), ("5 m", "5 km"), ("12 pears", "12 apples"), ("0.333", "1/3"), ("500", "5")]
        {
            assert!(!equal(said, gold), "{said} is not {gold}");
        }
    }
}
