//! The longest expression that begins at a token. Takes tokens; gives the expression and the token behind it.
//!
//! In a figure, words are units and stay outside; in a formula, letters are variables that multiply.

use bigdecimal::{BigDecimal, Signed as _};

use super::{
    token::{Sign, Token},
    tree::Tree,
};

/// How deep expressions may stand in one another.
const DEEPEST: usize = 40;

pub(super) struct Parser<'a> {
    pub tokens: &'a [Token],
    pub at: usize,
    /// Whether letters are variables.
    pub formula: bool,
    depth: usize,
}

/// Parses the expression that begins at a token. Returns nothing if none does.
pub(in super::super) fn expression(tokens: &[Token], at: usize, formula: bool) -> Option<(Tree, usize)> {
    let mut parser = Parser { tokens, at, formula, depth: 0 };
    let tree = parser.sum()?;
    Some((tree, parser.at))
}

pub(super) fn boxed(tree: Tree) -> Box<Tree> {
    Box::new(tree)
}

impl Parser<'_> {
    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    pub(super) fn is(&self, mark: char) -> bool {
        self.peek().is_some_and(|token| token.is(mark))
    }

    pub(super) fn take(&mut self, mark: char) -> bool {
        let is = self.is(mark);
        self.at += usize::from(is);
        is
    }

    /// Parses, and stands where it stood if that fails.
    pub(super) fn attempt<T>(&mut self, parse: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let (at, depth) = (self.at, self.depth);
        let parsed = parse(self);
        if parsed.is_none() {
            self.at = at;
        }
        self.depth = depth;
        parsed
    }

    fn sum(&mut self) -> Option<Tree> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let mut sum = self.signed()?;
        while let Some(mark) = ['+', '-'].into_iter().find(|mark| self.is(*mark)) {
            let Some(next) = self.attempt(|parser| {
                parser.at += 1;
                parser.product()
            }) else {
                break;
            };
            sum = if mark == '+' { Tree::Sum(boxed(sum), boxed(next)) } else { Tree::Difference(boxed(sum), boxed(next)) };
        }
        self.depth -= 1;
        Some(sum)
    }

    fn signed(&mut self) -> Option<Tree> {
        self.attempt(|parser| {
            let word = parser.peek().and_then(Token::word).is_some_and(|word| ["minus", "negative"].contains(&word.as_str()));
            if word || parser.is('-') {
                parser.at += 1;
                return parser.product().map(|product| Tree::Negative(boxed(product)));
            }
            parser.take('+');
            parser.product()
        })
    }

    fn product(&mut self) -> Option<Tree> {
        let mut product = self.power()?;
        loop {
            let operator = match self.peek().map(|token| (&token.sign, token.spaced)) {
                Some((Sign::Mark('*'), _)) => Some('*'),
                Some((Sign::Mark('/'), _)) => Some('/'),
                // The letter x between numbers is a sign.
                Some((Sign::Word(word), _)) if !self.formula && (word == "x" || word == "times") && self.number_follows() => {
                    Some('*')
                }
                _ => None,
            };
            let next = if let Some(operator) = operator {
                let next = self.attempt(|parser| {
                    parser.at += 1;
                    if parser.take('-') { parser.power().map(|power| Tree::Negative(boxed(power))) } else { parser.power() }
                });
                next.map(|next| (operator, next))
            } else if self.multiplies() {
                self.attempt(Self::power).map(|next| ('*', next))
            } else {
                None
            };
            match next {
                Some(('/', next)) => product = Tree::Quotient(boxed(product), boxed(next)),
                Some((_, next)) => product = Tree::Product(boxed(product), boxed(next)),
                None => return Some(product),
            }
        }
    }

    fn number_follows(&self) -> bool {
        matches!(self.tokens.get(self.at + 1).map(|token| &token.sign), Some(Sign::Number(_)))
    }

    /// Returns whether what stands next multiplies what stands before it without a sign.
    fn multiplies(&self) -> bool {
        let Some(token) = self.peek() else { return false };
        match &token.sign {
            Sign::Command(name) => name != "begin" && name != "end" && (self.formula || name != "binom"),
            Sign::Mark('(') => self.formula || !token.spaced,
            Sign::Word(word) => self.formula && is_factor(word) || word == "pi" || word == "sqrt",
            _ => false,
        }
    }

    pub(super) fn power(&mut self) -> Option<Tree> {
        let mut base = self.factor()?;
        loop {
            if self.is('^') {
                let Some(exponent) = self.attempt(|parser| {
                    parser.at += 1;
                    if parser.is('{') {
                        parser.group('{', '}')
                    } else if parser.take('-') {
                        parser.factor().map(|factor| Tree::Negative(boxed(factor)))
                    } else {
                        parser.digit_or_factor()
                    }
                }) else {
                    break;
                };
                base = Tree::Power(boxed(base), boxed(exponent));
            } else if self.is('!') && !self.peek().is_some_and(|token| token.spaced) && self.formula {
                self.at += 1;
                base = Tree::Factorial(boxed(base));
            } else {
                break;
            }
        }
        Some(base)
    }

    pub(super) fn group(&mut self, open: char, close: char) -> Option<Tree> {
        self.attempt(|parser| {
            if !parser.take(open) {
                return None;
            }
            let inner = parser.sum()?;
            parser.take(close).then_some(inner)
        })
    }

    /// Parses what TeX takes as an argument: a group, or one digit or letter.
    pub(super) fn digit_or_factor(&mut self) -> Option<Tree> {
        if self.is('{') { self.group('{', '}') } else { self.factor() }
    }

    pub(super) fn factor(&mut self) -> Option<Tree> {
        let token = self.peek()?.clone();
        match token.sign {
            Sign::Number(number) => {
                self.at += 1;
                Some(self.mixed(number))
            }
            Sign::Vulgar(number) => {
                self.at += 1;
                Some(Tree::Number(number))
            }
            Sign::Mark('(') => self.group('(', ')'),
            Sign::Mark('[') if self.formula => self.group('[', ']'),
            Sign::Mark('{') => self.group('{', '}'),
            Sign::Mark('|') if self.formula => self.group('|', '|').map(|inner| Tree::Absolute(boxed(inner))),
            Sign::Command(name) => self.attempt(|parser| {
                parser.at += 1;
                parser.command(&name)
            }),
            Sign::Word(word) if word.eq_ignore_ascii_case("pi") => {
                self.at += 1;
                Some(Tree::Pi)
            }
            Sign::Word(word) if word == "sqrt" => self.attempt(|parser| {
                parser.at += 1;
                parser.command("sqrt")
            }),
            Sign::Word(word) if self.formula && is_factor(&word) => {
                self.at += 1;
                self.letters(&word)
            }
            _ => None,
        }
    }

    /// Parses the fraction behind a whole number, as in "2 1/2".
    fn mixed(&mut self, whole: BigDecimal) -> Tree {
        let number = Tree::Number(whole.clone());
        if !whole.is_integer() {
            return number;
        }
        let fraction = self.attempt(|parser| {
            let token = parser.peek()?.clone();
            match &token.sign {
                Sign::Command(name) if name == "frac" => {
                    parser.at += 1;
                    match parser.command("frac")? {
                        Tree::Quotient(above, below) => proper(&above, &below),
                        _ => None,
                    }
                }
                Sign::Vulgar(part) => {
                    parser.at += 1;
                    Some(Tree::Number(part.clone()))
                }
                Sign::Number(above) if token.spaced => {
                    let above = above.clone();
                    parser.at += 1;
                    let slash = parser.peek()?.clone();
                    if !slash.is('/') || slash.spaced {
                        return None;
                    }
                    parser.at += 1;
                    let Sign::Number(below) = parser.peek()?.sign.clone() else { return None };
                    parser.at += 1;
                    proper(&Tree::Number(above), &Tree::Number(below))
                }
                _ => None,
            }
        });
        match fraction {
            Some(fraction) => Tree::Sum(boxed(number), boxed(fraction)),
            None => number,
        }
    }
}

fn is_factor(word: &str) -> bool {
    word.starts_with('\\')
        || word.chars().count() <= 3
            && word.chars().all(|letter| letter.is_ascii_alphabetic())
            && !["or", "and", "if", "the"].contains(&word)
}

/// Returns a fraction of whole numbers that is less than one.
fn proper(above: &Tree, below: &Tree) -> Option<Tree> {
    let (Tree::Number(one), Tree::Number(other)) = (above, below) else { return None };
    let is_proper = one.is_integer() && other.is_integer() && one.is_positive() && one < other;
    is_proper.then(|| Tree::Quotient(boxed(above.clone()), boxed(below.clone())))
}
