//! Expressions. Gives the number that one comes to, exact as far as there are decimals for it, and its value where variables have values.

use bigdecimal::{BigDecimal, One as _, RoundingMode, Signed as _, ToPrimitive as _, Zero as _};

/// Digits to which roots and quotients are computed. Numbers that differ by less than the last tenth of them are equal.
const DIGITS: u64 = 60;

/// The largest exponent of a power, and the largest number of digits of its base.
const LARGEST_POWER: i64 = 1000;

#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Tree {
    Number(BigDecimal),
    Pi,
    Variable(String),
    Negative(Box<Self>),
    Sum(Box<Self>, Box<Self>),
    Difference(Box<Self>, Box<Self>),
    Product(Box<Self>, Box<Self>),
    Quotient(Box<Self>, Box<Self>),
    Power(Box<Self>, Box<Self>),
    Root(Box<Self>, Box<Self>),
    Absolute(Box<Self>),
    Factorial(Box<Self>),
    /// A named function of one argument.
    Function(String, Box<Self>),
}

impl Tree {
    pub(in super::super) fn number(value: i64) -> Self {
        Self::Number(BigDecimal::from(value))
    }

    /// Returns whether the expression is a numeral and nothing else.
    pub(in super::super) fn is_numeral(&self) -> bool {
        matches!(self, Self::Number(_))
    }

    /// Returns the number that the expression comes to; nothing if it has variables or functions, or is not real.
    pub(in super::super) fn exact(&self) -> Option<BigDecimal> {
        let value = match self {
            Self::Number(number) => return Some(number.clone()),
            Self::Pi => return "3.14159265358979323846264338327950288419716939937510582097494459230782".parse().ok(),
            Self::Variable(_) | Self::Function(..) => return None,
            Self::Negative(of) => -of.exact()?,
            Self::Sum(one, other) => one.exact()? + other.exact()?,
            Self::Difference(one, other) => one.exact()? - other.exact()?,
            Self::Product(one, other) => one.exact()? * other.exact()?,
            Self::Quotient(above, below) => {
                let below = below.exact()?;
                if below.is_zero() {
                    return None;
                }
                above.exact()? / below
            }
            Self::Power(base, exponent) => return power(&base.exact()?, &exponent.exact()?),
            Self::Root(degree, of) => return root(&of.exact()?, degree.exact()?.to_i64()?),
            Self::Absolute(of) => of.exact()?.abs(),
            Self::Factorial(of) => {
                let of = of.exact()?.to_u32().filter(|of| *of <= 100)?;
                (1..=of).fold(BigDecimal::one(), |product, factor| product * factor)
            }
        };
        Some(if value.digits() > 4 * DIGITS { value.with_prec(4 * DIGITS) } else { value })
    }

    /// Returns the value where each variable has the value that `of` gives for its name.
    pub(in super::super) fn at(&self, of: &dyn Fn(&str) -> f64) -> f64 {
        match self {
            Self::Number(number) => number.to_f64().unwrap_or(f64::NAN),
            Self::Pi => std::f64::consts::PI,
            Self::Variable(name) => of(name),
            Self::Negative(value) => -value.at(of),
            Self::Sum(one, other) => one.at(of) + other.at(of),
            Self::Difference(one, other) => one.at(of) - other.at(of),
            Self::Product(one, other) => one.at(of) * other.at(of),
            Self::Quotient(above, below) => above.at(of) / below.at(of),
            Self::Power(base, exponent) => base.at(of).powf(exponent.at(of)),
            Self::Root(degree, value) => match (degree.at(of), value.at(of)) {
                (3.0, value) => value.cbrt(),
                (degree, value) => value.powf(1.0 / degree),
            },
            Self::Absolute(value) => value.at(of).abs(),
            Self::Factorial(value) => {
                let value = value.at(of);
                if (0.0..=100.0).contains(&value) && value.fract() == 0.0 {
                    (1..=value as u32).map(f64::from).product()
                } else {
                    f64::NAN
                }
            }
            Self::Function(name, value) => function(name, value.at(of)),
        }
    }

    /// Adds the names of the variables.
    pub(in super::super) fn variables(&self, names: &mut std::collections::BTreeSet<String>) {
        match self {
            Self::Number(_) | Self::Pi => {}
            Self::Variable(name) => {
                names.insert(name.clone());
            }
            Self::Negative(of) | Self::Absolute(of) | Self::Factorial(of) | Self::Function(_, of) => of.variables(names),
            Self::Sum(one, other)
            | Self::Difference(one, other)
            | Self::Product(one, other)
            | Self::Quotient(one, other)
            | Self::Power(one, other)
            | Self::Root(one, other) => {
                one.variables(names);
                other.variables(names);
            }
        }
    }
}

fn function(name: &str, value: f64) -> f64 {
    match name {
        "sin" => value.sin(),
        "cos" => value.cos(),
        "tan" => value.tan(),
        "cot" => 1.0 / value.tan(),
        "sec" => 1.0 / value.cos(),
        "csc" => 1.0 / value.sin(),
        "arcsin" => value.asin(),
        "arccos" => value.acos(),
        "arctan" => value.atan(),
        "ln" => value.ln(),
        "log" => value.log10(),
        "exp" => value.exp(),
        _ => f64::NAN,
    }
}

/// Returns whether two numbers are equal but for the rounding of roots and quotients.
pub(in super::super) fn equal(one: &BigDecimal, other: &BigDecimal) -> bool {
    one == other || {
        let difference = (one - other).abs();
        let scale = one.abs().max(other.abs());
        difference * BigDecimal::new(1.into(), -(DIGITS as i64 * 2 / 3)) < scale
    }
}

fn power(base: &BigDecimal, exponent: &BigDecimal) -> Option<BigDecimal> {
    if !exponent.is_integer() {
        // A power with a half is a root.
        let doubled = (exponent * BigDecimal::from(2)).with_prec(DIGITS);
        return if doubled.is_integer() { root(&power(base, &doubled)?, 2) } else { None };
    }
    let exponent = exponent.to_i64().filter(|exponent| exponent.abs() <= LARGEST_POWER)?;
    if base.is_zero() && exponent < 0 || base.digits() > 100 {
        return None;
    }
    let mut product = BigDecimal::one();
    for _ in 0..exponent.abs() {
        product = (product * base).with_prec(4 * DIGITS);
    }
    Some(if exponent < 0 { BigDecimal::one() / product } else { product })
}

fn root(of: &BigDecimal, degree: i64) -> Option<BigDecimal> {
    let root = match degree {
        2 => of.sqrt()?,
        3 => of.cbrt(),
        _ => return None,
    };
    // The root of a square has no rounding.
    let rounded = root.with_scale_round(20, RoundingMode::HalfEven).normalized();
    let product = (1..degree).fold(rounded.clone(), |product, _| product * &rounded);
    Some(if product == *of { rounded } else { root })
}
