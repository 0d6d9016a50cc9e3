//! Expressions that begin with a TeX command or with letters: fractions, roots, functions, variables.

use super::{
    parse::{Parser, boxed},
    token::Sign,
    tree::Tree,
};

impl Parser<'_> {
    /// Parses the argument of a TeX command. One digit is an argument, as in `\frac12`.
    pub(super) fn argument(&mut self) -> Option<Tree> {
        let token = self.peek()?.clone();
        match token.sign {
            Sign::Mark('{') => self.group('{', '}'),
            Sign::Number(_) => {
                self.at += 1;
                if let Sign::Number(number) = token.sign { Some(Tree::Number(number)) } else { None }
            }
            Sign::Word(word) if self.formula && word.len() == 1 => {
                self.at += 1;
                Some(Tree::Variable(word))
            }
            _ => self.factor(),
        }
    }

    pub(super) fn command(&mut self, name: &str) -> Option<Tree> {
        match name {
            "frac" => {
                // `\frac12` is one numeral to the reader of numerals.
                if let Some(Sign::Number(number)) = self.peek().map(|token| &token.sign) {
                    let digits = number.to_string();
                    let next_is_group = self.tokens.get(self.at + 1).is_some_and(|token| token.is('{'));
                    if digits.len() == 2 && !next_is_group && digits.bytes().all(|digit| digit.is_ascii_digit()) {
                        self.at += 1;
                        let parse = |digit: &str| digit.parse().ok().map(|number| boxed(Tree::Number(number)));
                        return Some(Tree::Quotient(parse(&digits[..1])?, parse(&digits[1..])?));
                    }
                }
                let above = self.argument()?;
                let below = self.argument()?;
                Some(Tree::Quotient(boxed(above), boxed(below)))
            }
            "sqrt" => {
                let degree = if self.is('[') { self.group('[', ']')? } else { Tree::number(2) };
                let of = self.argument()?;
                Some(Tree::Root(boxed(degree), boxed(of)))
            }
            "binom" => {
                let factorial = |tree: Tree| boxed(Tree::Factorial(boxed(tree)));
                let (above, below) = (self.argument()?, self.argument()?);
                let rest = Tree::Difference(boxed(above.clone()), boxed(below.clone()));
                Some(Tree::Quotient(factorial(above), boxed(Tree::Product(factorial(below), factorial(rest)))))
            }
            "sin" | "cos" | "tan" | "cot" | "sec" | "csc" | "log" | "ln" | "exp" | "arcsin" | "arccos" | "arctan" => {
                let base = if name == "log" && self.take('_') { Some(self.argument()?) } else { None };
                let exponent = if self.take('^') { Some(self.argument()?) } else { None };
                let of = if self.is('(') { self.group('(', ')')? } else { self.power()? };
                let function = |name: &str, of: Tree| Tree::Function(name.to_owned(), boxed(of));
                let value = match base {
                    Some(base) => Tree::Quotient(boxed(function("ln", of)), boxed(function("ln", base))),
                    None => function(name, of),
                };
                Some(match exponent {
                    Some(exponent) => Tree::Power(boxed(value), boxed(exponent)),
                    None => value,
                })
            }
            _ => None,
        }
    }

    /// Parses letters as variables that multiply; a letter may have an index.
    pub(super) fn letters(&mut self, word: &str) -> Option<Tree> {
        if word.starts_with('\\') {
            return Some(Tree::Variable(word.to_owned()));
        }
        let mut factors: Vec<_> = word.chars().map(|letter| Tree::Variable(letter.to_string())).collect();
        if self.take('_') {
            let index = self.argument()?;
            if let Some(Tree::Variable(name)) = factors.last_mut() {
                *name = format!("{name}_{index:?}");
            }
        }
        // A power belongs to the last letter alone.
        if self.is('^') && factors.len() > 1 {
            self.at += 1;
            let exponent = self.digit_or_factor()?;
            let last = factors.pop()?;
            factors.push(Tree::Power(boxed(last), boxed(exponent)));
        }
        factors.into_iter().reduce(|product, factor| Tree::Product(boxed(product), boxed(factor)))
    }
}
