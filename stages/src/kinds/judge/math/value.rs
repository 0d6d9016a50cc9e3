//! The value of a formula. Takes text; gives its expression, and whether two have one value wherever they have one.

use std::collections::BTreeSet;

use super::{
    super::expression::{
        parse::expression,
        token::{Sign, Token, tokens},
        tree::{self, Tree},
    },
    text::group,
};

/// Parses a text that is one expression; words and units behind it are set aside.
pub(super) fn tree_of(text: &str) -> Option<Tree> {
    let text = text.trim();
    let grouped = group(text).is_none_or(|group| group.parts.len() <= 1);
    let list = tokens(text, grouped && !is_grouped_number(text));
    let (tree, to) = expression(&list, 0, true)?;
    let rest = list[to..].iter().all(|token| {
        matches!(token.sign, Sign::Text(_)) || ['%', '.'].into_iter().any(|mark| token.is(mark)) || is_unit(token, &tree)
    });
    rest.then_some(tree)
}

fn is_grouped_number(text: &str) -> bool {
    let mut parts = text.split(',');
    parts.next().is_some_and(|first| (1..=3).contains(&first.trim_start_matches('-').len()))
        && parts.clone().next().is_some()
        && parts.all(|part| {
            part.split('.').next().is_some_and(|whole| whole.len() == 3 && whole.bytes().all(|digit| digit.is_ascii_digit()))
        })
}

/// Returns whether a word behind a number is its unit.
fn is_unit(token: &Token, tree: &Tree) -> bool {
    let mut variables = BTreeSet::new();
    tree.variables(&mut variables);
    variables.is_empty() && matches!(&token.sign, Sign::Word(word) if word.len() > 1)
}

/// Returns whether two expressions have one value, wherever they have one.
pub(super) fn equivalent(one: &Tree, other: &Tree) -> bool {
    if let (Some(one), Some(other)) = (one.exact(), other.exact()) {
        return tree::equal(&one, &other);
    }
    let mut names = BTreeSet::new();
    one.variables(&mut names);
    let mut others = BTreeSet::new();
    other.variables(&mut others);
    compare(one, other, &names, &others)
}

fn compare(one: &Tree, other: &Tree, names: &BTreeSet<String>, others: &BTreeSet<String>) -> bool {
    let all: Vec<_> = names.union(others).cloned().collect();
    let mut compared = 0;
    for point in 0..8_u32 {
        let of = value_at(&all, point);
        let (one, other) = (one.at(&of), other.at(&of));
        if !one.is_finite() && !other.is_finite() {
            continue;
        }
        if !near(one, other) {
            return false;
        }
        compared += 1;
    }
    compared >= 2
}

/// Returns whether two differences vanish at the same points: one is the other times a number that is not zero.
pub(super) fn proportional(one: &Tree, other: &Tree) -> bool {
    let mut names = BTreeSet::new();
    one.variables(&mut names);
    other.variables(&mut names);
    let all: Vec<_> = names.into_iter().collect();
    let ratios: Vec<_> = (0..8)
        .filter_map(|point| {
            let of = value_at(&all, point);
            let ratio = one.at(&of) / other.at(&of);
            ratio.is_finite().then_some(ratio)
        })
        .collect();
    ratios.len() >= 3 && ratios[0].abs() > 1e-9 && ratios.iter().all(|ratio| near(*ratio, ratios[0]))
}

/// Returns values for variables: other ones at each point, and neither whole nor special.
fn value_at(names: &[String], point: u32) -> impl Fn(&str) -> f64 {
    move |name| {
        let place = names.iter().position(|other| other == name).unwrap_or_default() as f64;
        match name {
            "i" => f64::NAN,
            _ => 0.37 + 0.618 * f64::from(point) + 0.271_828 * place + 0.093 * place * f64::from(point),
        }
    }
}

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-9 * one.abs().max(other.abs()).max(1e-6)
}
