//! The judge `math`: right is what means the same as a gold formula. Takes a question and an answer; gives a grade.
//!
//! It reads TeX and plain text: numbers, fractions, roots, powers, functions, variables, equations, intervals, tuples, sets, lists, unions,
//! matrices, `±`, and words in `\text`. Numbers are compared exactly, formulas with variables by their values at several points. The
//! order counts in tuples, intervals and matrices, and not in sets, lists and unions. Units, degrees and percent signs are set aside.
//!
//! Read `text` (a formula's text), `value` (what an expression comes to), then `same` (which compares). Measured on 7,210 answers of ten
//! models to level 5 of MATH: agreement with the recorded verdicts 0.995, with Math-Verify 0.9986.

mod same;
mod text;
mod value;

use std::borrow::Cow;

use engine::{Context, StageError};

use super::{
    final_answer,
    grader::{self, Graded, NoParams, Opening, Reader},
};
use crate::rows::{Grade, Question, Unclear};
use same::same;
use text::{cleaned, compact};

pub(super) struct Judge {
    idk: Vec<String>,
}

impl grader::Judge for Judge {
    const NAME: &'static str = "math";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str =
        "for formulas: an answer is right if its final answer means the same as a gold answer, in TeX or plain";
    const EXAMPLE: &'static str = "{ judge: math }";
    type Params = NoParams;

    fn open(_: &Context, _: &NoParams, common: &Opening<'_>) -> Result<Self, StageError> {
        Ok(Self { idk: common.idk.to_vec() })
    }
}

impl Reader for Judge {
    fn idk(&self) -> &[String] {
        &self.idk
    }

    fn read(&self, question: &Question, text: &str) -> Result<Graded, StageError> {
        let found = final_answer::find(text);
        let announced = found.is_some();
        let Some(said) = found.map(Cow::into_owned).or_else(|| last_formula(text)) else {
            return Ok(Graded::new(Grade::Incorrect, "has no final answer").unclear(Unclear::Unreadable));
        };
        let gold = |gold: &&String| equal(&said, &final_answer::marked(gold).unwrap_or(Cow::Borrowed(gold)));
        let graded = match question.gold.iter().find(gold) {
            Some(gold) => Graded::new(Grade::Correct, format!("is {gold}")),
            None => Graded::new(Grade::Incorrect, format!("says {said}")),
        };
        Ok(if announced { graded.firm() } else { graded })
    }
}

/// Returns the last formula of a text: what stands last between dollars, or its last line.
fn last_formula(text: &str) -> Option<String> {
    let line = text.trim().lines().last()?.trim();
    let parts: Vec<_> = line.split('$').collect();
    // Between an even number of dollars stands an odd number of parts.
    let formula =
        (parts.len() >= 3 && parts.len() % 2 == 1).then(|| parts[parts.len() - 2].trim()).filter(|formula| !formula.is_empty());
    let behind = |line: &str| line.rsplit('=').next().unwrap_or_default().trim().to_owned();
    formula.map(str::to_owned).or_else(|| (line.len() <= 80).then(|| line.to_owned())).or_else(|| Some(behind(line)))
}

/// Returns whether two final answers mean the same.
fn equal(said: &str, gold: &str) -> bool {
    let (said, gold) = (cleaned(said), cleaned(gold));
    if said.is_empty() || gold.is_empty() {
        return false;
    }
    compact(&said) == compact(&gold) || same(without_base(&said, &gold), without_base(&gold, &said), 0)
}

/// Returns a numeral without the base behind it, as in `1011_2`, if the other side names none.
fn without_base<'a>(text: &'a str, other: &str) -> &'a str {
    match text.split_once('_') {
        Some((numeral, _))
            if !other.contains('_')
                && numeral.trim().bytes().all(|byte| byte.is_ascii_alphanumeric())
                && numeral.starts_with(|first: char| first.is_ascii_digit()) =>
        {
            numeral
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_equal_if_they_mean_the_same() {
        let pairs = [
            ("\\frac{1}{2}", "0.5"),
            ("\\dfrac12", "\\frac{1}{2}"),
            ("1/2", "\\frac{1}{2}"),
            ("$\\boxed{\\frac{1}{2}}$", "\\frac12"),
            ("2\\sqrt{2}", "\\sqrt{8}"),
            ("\\frac{\\sqrt{3}}{3}", "\\frac{1}{\\sqrt{3}}"),
            ("2^{10}", "1024"),
            ("1,024", "1024"),
            ("10\\%", "10"),
            ("90^\\circ", "90"),
            ("5 \\text{ cm}", "5"),
            ("x = 5", "5"),
            ("2x + 3", "3+2x"),
            ("(x+1)^2", "x^2 + 2x + 1"),
            ("(x+1)(x-1)", "x^2-1"),
            ("y = 2x + 1", "y = 1 + 2x"),
            ("y - 2x = 1", "y = 2x + 1"),
            ("(1, 2)", "\\left(1,2\\right)"),
            ("(\\frac12, 3)", "(0.5, 3)"),
            ("[0, 1)", "\\left[0,1\\right)"),
            ("(-\\infty, 3]", "(-\\infty,3]"),
            ("x \\in [1,2]", "[1,2]"),
            ("(1,2) \\cup (3,4)", "(3,4)\\cup(1,2)"),
            ("\\{1, 2, 3\\}", "\\{3,2,1\\}"),
            ("1, 2", "2,1"),
            ("1 and 2", "2, 1"),
            ("3 \\pm \\sqrt{2}", "3+\\sqrt{2}, 3-\\sqrt{2}"),
            ("\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", "\\begin{pmatrix}1\\\\\\frac{4}{2}\\end{pmatrix}"),
            ("\\text{Friday}", "Friday"),
            ("\\text{(C)}", "C"),
            ("\\pi", "π"),
            ("\\frac{\\pi}{4}", "\\pi/4"),
            ("\\sin^2 x", "(\\sin x)^2"),
            ("5!", "120"),
            ("\\binom{5}{2}", "10"),
            ("2\\frac{1}{2}", "2.5"),
            ("-\\frac{1}{2}", "\\frac{-1}{2}"),
            ("x > 3", "x>3"),
            ("a^{m+n}", "a^m a^n"),
            ("1011_2", "1011"),
            ("1011_{2}", "1011_2"),
        ];
        let wrong: Vec<_> = pairs.iter().filter(|(one, other)| !equal(one, other) || !equal(other, one)).collect();
        assert!(wrong.is_empty(), "not equal: {wrong:?}");
        let pairs = [
            ("\\frac{1}{2}", "2"),
            ("\\sqrt{2}", "1.414"),
            ("(1, 2)", "(2, 1)"),
            ("[0, 1]", "[0, 1)"),
            ("2x", "x^2"),
            ("\\{1,2\\}", "\\{1,2,3\\}"),
            ("1, 2", "1"),
            ("x > 3", "x < 3"),
            ("Friday", "Monday"),
            ("", "1"),
            ("x", "y"),
            ("-5", "5"),
            ("1,2", "12"),
            ("y = 2x", "y = 3x"),
            ("1011_2", "1011_3"),
            ("a = 3 \\neq 0", "0"),
        ];
        let wrong: Vec<_> = pairs.iter().filter(|(one, other)| equal(one, other)).collect();
        assert!(wrong.is_empty(), "equal: {wrong:?}");
    }
}
