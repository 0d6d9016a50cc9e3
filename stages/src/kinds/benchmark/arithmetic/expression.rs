//! Chains of terms. Takes operators and operands; gives their value by each way of computing.

use bigdecimal::{BigDecimal, RoundingMode, Zero as _};

/// One of the four operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Plus,
    Minus,
    Times,
    Over,
}

impl Operator {
    pub(crate) fn multiplies(self) -> bool {
        matches!(self, Self::Times | Self::Over)
    }
}

/// A first operand and what follows it, in the order of writing.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    pub(crate) first: BigDecimal,
    pub(crate) rest: Vec<(Operator, BigDecimal)>,
}

impl Chain {
    /// Returns the value by precedence, which is exact if the divisions come out even.
    pub(crate) fn exact(&self) -> BigDecimal {
        self.by_precedence(
            BigDecimal::clone,
            |left, right| left + right,
            |left, right| left - right,
            |left, right| left * right,
            |left, right| left / right,
        )
    }

    /// Returns the value by precedence in 64-bit floating point.
    pub(crate) fn floating(&self) -> f64 {
        self.by_precedence(
            nearest,
            |left, right| left + right,
            |left, right| left - right,
            |left, right| left * right,
            |left, right| left / right,
        )
    }

    fn by_precedence<T>(
        &self,
        number: impl Fn(&BigDecimal) -> T,
        plus: impl Fn(T, T) -> T,
        minus: impl Fn(T, T) -> T,
        times: impl Fn(T, T) -> T,
        over: impl Fn(T, T) -> T,
    ) -> T {
        let mut terms: Vec<(Operator, T)> = vec![(Operator::Plus, number(&self.first))];
        for (operator, operand) in &self.rest {
            let right = number(operand);
            match terms.pop() {
                Some((sign, left)) if *operator == Operator::Times => terms.push((sign, times(left, right))),
                Some((sign, left)) if *operator == Operator::Over => terms.push((sign, over(left, right))),
                before => {
                    terms.extend(before);
                    terms.push((*operator, right));
                }
            }
        }
        let mut terms = terms.into_iter();
        let first = terms.next().map_or_else(|| number(&BigDecimal::zero()), |(_, value)| value);
        terms.fold(first, |sum, (sign, value)| if sign == Operator::Minus { minus(sum, value) } else { plus(sum, value) })
    }

    /// Returns the value from left to right without precedence; nothing if a number on the way is longer than `digits`.
    pub(crate) fn left_to_right(&self, digits: i64) -> Option<BigDecimal> {
        let mut shown = self.first.clone();
        for (operator, operand) in &self.rest {
            shown = match operator {
                Operator::Plus => shown + operand,
                Operator::Minus => shown - operand,
                Operator::Times => shown * operand,
                Operator::Over => shown / operand,
            };
            if shown.abs() >= BigDecimal::new(1.into(), -digits) {
                return None;
            }
            shown = shown.with_scale_round(digits, RoundingMode::Down);
        }
        Some(shown)
    }

    /// Returns whether a multiplication or division stands behind an addition or subtraction.
    pub(crate) fn needs_precedence(&self) -> bool {
        needs_precedence(self.rest.iter().map(|(operator, _)| *operator))
    }
}

/// Returns whether an operator that multiplies or divides stands behind one that adds or subtracts.
pub(crate) fn needs_precedence(operators: impl IntoIterator<Item = Operator>) -> bool {
    operators.into_iter().skip_while(|operator| operator.multiplies()).any(Operator::multiplies)
}

/// Returns the floating-point number nearest to a decimal.
pub(crate) fn nearest(number: &BigDecimal) -> f64 {
    number.to_plain_string().parse().unwrap_or(f64::NAN)
}

/// Returns whether a floating-point number, written with all the digits it needs, reads exactly as `number`.
pub(crate) fn says(float: f64, number: &BigDecimal) -> bool {
    float.to_string().parse::<BigDecimal>().is_ok_and(|said| said == *number)
}
