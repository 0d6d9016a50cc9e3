//! Whether two formulas mean the same. Takes two texts; compares their parts as the brackets say, and values where there are no parts.

use super::{
    super::expression::tree::Tree,
    text::{compact, group, split, words},
    value::{equivalent, proportional, tree_of},
};

/// How deep groups may stand in one another.
const DEEPEST: usize = 8;

pub(super) fn same(said: &str, gold: &str, depth: usize) -> bool {
    if depth > DEEPEST {
        return false;
    }
    if compact(said) == compact(gold) {
        return true;
    }
    if let (Some(one), Some(other)) = (matrix(said), matrix(gold)) {
        return one.len() == other.len() && one.iter().zip(&other).all(|(one, other)| in_order(one, other, depth));
    }
    let unions = ["\\cup", "∪"];
    let (one, other) = (split(said, &unions), split(gold, &unions));
    if one.len() > 1 || other.len() > 1 {
        return in_any_order(&one, &other, depth);
    }
    if let (Some(one), Some(other)) = (tree_of(said), tree_of(gold)) {
        return equivalent(&one, &other);
    }
    if let (Some(one), Some(other)) = (group(said), group(gold))
        && (one.parts.len() > 1 || other.parts.len() > 1 || one.open == '{')
    {
        let brackets = (one.open, one.close) == (other.open, other.close);
        let parts = if one.open == '{' { in_any_order } else { in_order };
        return brackets && parts(&one.parts, &other.parts, depth);
    }
    let lists = [", and ", ",and", " and ", "\\text{ and }", "\\text{and}", " or ", "\\text{ or }", ","];
    let (one, other) = (listed(said, &lists), listed(gold, &lists));
    if one.len() > 1 || other.len() > 1 {
        let (one, other): (Vec<_>, Vec<_>) =
            (one.iter().map(String::as_str).collect(), other.iter().map(String::as_str).collect());
        return in_any_order(&one, &other, depth);
    }
    relation(said, gold, depth) || words(said).is_some_and(|one| Some(one) == words(gold))
}

/// Returns the parts of a list without brackets, or in those of a set; `±` stands for two.
fn listed(text: &str, separators: &[&str]) -> Vec<String> {
    let set = group(text).filter(|group| group.open == '{');
    let parts = set.map_or_else(|| split(text, separators), |group| group.parts);
    let mut all = Vec::new();
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        let sign = ["\\pm", "±"].into_iter().find(|sign| part.contains(sign));
        match sign {
            Some(sign) => all.extend(["+", "-"].map(|by| part.replacen(sign, by, 1))),
            None => all.push(part.to_owned()),
        }
    }
    all
}

fn in_order(one: &[&str], other: &[&str], depth: usize) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other, depth + 1))
}

fn in_any_order(one: &[&str], other: &[&str], depth: usize) -> bool {
    let mut left: Vec<_> = other.to_vec();
    one.len() == other.len()
        && one.len() <= 50
        && one.iter().all(|part| {
            let found = left.iter().position(|other| same(part, other, depth + 1));
            found.is_some_and(|at| {
                left.remove(at);
                true
            })
        })
}

/// Reads the rows of a matrix.
fn matrix(text: &str) -> Option<Vec<Vec<&str>>> {
    let begin = text.find("\\begin{")?;
    let inner = &text[begin..text.rfind("\\end{")?];
    let inner = inner.split_once('}')?.1;
    Some(inner.split("\\\\").map(|row| row.split('&').map(str::trim).collect()).filter(|row: &Vec<&str>| row != &[""]).collect())
}

/// Compares equations and inequalities; "x = 5" means 5.
fn relation(said: &str, gold: &str, depth: usize) -> bool {
    let signs = ["\\leq", "\\geq", "\\le", "\\ge", "\\neq", "\\in", "≤", "≥", "∈", "<=", ">=", "=", "<", ">"];
    let (one, other) = (split(said, &signs), split(gold, &signs));
    let kinds = |text: &str| -> Vec<String> {
        let text = text
            .replace("\\neq", "≠")
            .replace("\\leq", "≤")
            .replace("\\le", "≤")
            .replace("\\geq", "≥")
            .replace("\\ge", "≥")
            .replace("<=", "≤");
        text.replace(">=", "≥")
            .replace("\\in", "∈")
            .chars()
            .filter(|character| "≤≥<>=∈≠".contains(*character))
            .map(String::from)
            .collect()
    };
    match (&one[..], &other[..]) {
        ([name, value], [_]) if is_name(name) && ["=", "∈"].contains(&kinds(said).concat().as_str()) => {
            same(value, gold, depth + 1)
        }
        ([_], [name, value]) if is_name(name) && ["=", "∈"].contains(&kinds(gold).concat().as_str()) => {
            same(said, value, depth + 1)
        }
        ([_, .., value], [_]) if kinds(said).iter().all(|kind| kind == "=") => same(value, gold, depth + 1),
        ([left, right], [gold_left, gold_right]) if kinds(said) == kinds(gold) && kinds(said) == ["="] => {
            let difference =
                |left: &str, right: &str| Some(Tree::Difference(Box::new(tree_of(left)?), Box::new(tree_of(right)?)));
            in_order(&one, &other, depth)
                || difference(left, right)
                    .zip(difference(gold_left, gold_right))
                    .is_some_and(|(one, other)| proportional(&one, &other))
        }
        _ => one.len() > 1 && kinds(said) == kinds(gold) && in_order(&one, &other, depth),
    }
}

/// Returns whether a side of an equation only names what the other is the value of: `x`, `f(x)`, `AB`.
fn is_name(side: &str) -> bool {
    let side: String = side.chars().filter(|character| !character.is_whitespace() && !"\\{}_()".contains(*character)).collect();
    !side.is_empty()
        && side.chars().count() <= 12
        && side.starts_with(char::is_alphabetic)
        && side.chars().all(char::is_alphanumeric)
}
