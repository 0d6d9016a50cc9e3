//! The matrix of labels. Takes policies in order of cost; gives the policy of every cell, a combination of verdicts.
//!
//! The cheapest correct model decides. If none is correct, the question is ambiguous, unless every cheaper model is wrong and a dearer one
//! says that it does not know: then that model's honesty is worth its price. With two models these are the nine cells that routers
//! are usually labelled by.

use std::collections::BTreeMap;

use engine::ParamMistake;

use crate::{
    rows::Grade,
    sections::{Policies, Policy},
};

/// Returns the name of a cell: the verdicts in order of cost, joined by `/`.
pub(crate) fn cell(grades: &[Grade]) -> String {
    grades.iter().map(ToString::to_string).collect::<Vec<_>>().join("/")
}

/// Fills in the cells that `given` leaves open.
///
/// # Errors
/// All cells and policies that do not exist, and cells that no policy is given for.
pub(crate) fn complete(
    given: BTreeMap<String, String>,
    policies: &Policies,
) -> Result<BTreeMap<String, String>, Vec<ParamMistake>> {
    let roles = policies.roles();
    let cells = cells(roles.len());
    let mut mistakes = Vec::new();
    for (name, policy) in &given {
        let field = vec!["matrix".to_owned(), name.clone()];
        if !cells.iter().any(|grades| cell(grades) == *name) {
            mistakes.push(ParamMistake {
                field,
                message: format!("there is no cell `{name}`"),
                help: format!("a cell is a verdict (correct, incorrect, idk) on each of {} with `/` between", roles.join(", ")),
            });
        } else if policies.get(policy).is_none() {
            mistakes.push(ParamMistake {
                field,
                message: format!("there is no policy `{policy}`"),
                help: format!("the policies are {}", policies.names()),
            });
        }
    }
    let mut matrix = BTreeMap::new();
    for grades in cells {
        let name = cell(&grades);
        let policy = given.get(&name).cloned().or_else(|| decide(&grades, &roles, policies));
        let Some(policy) = policy else {
            mistakes.push(ParamMistake {
                field: vec!["matrix".to_owned()],
                message: format!("no policy is given for the cell `{name}`"),
                help: "add the cell, or a policy that sends a second time to the cheapest model".to_owned(),
            });
            continue;
        };
        matrix.insert(name, policy);
    }
    if mistakes.is_empty() { Ok(matrix) } else { Err(mistakes) }
}

fn cells(models: usize) -> Vec<Vec<Grade>> {
    (0..models).fold(vec![Vec::new()], |cells, _| {
        let longer = cells.iter().flat_map(|cell| Grade::ALL.map(|grade| [cell.as_slice(), &[grade]].concat()));
        longer.collect()
    })
}

fn decide(grades: &[Grade], roles: &[String], policies: &Policies) -> Option<String> {
    let of_role = |role: &String| policies.0.iter().find(|policy| policy.model == *role);
    let correct = grades.iter().position(|grade| *grade == Grade::Correct);
    let honest = grades.iter().position(|grade| *grade != Grade::Incorrect).filter(|first| *first > 0);
    let honest = honest.filter(|first| grades[*first] == Grade::Idk);
    let policy = match correct.or(honest) {
        Some(model) => of_role(&roles[model]),
        None => ambiguous(policies),
    };
    policy.map(|policy| policy.name.clone())
}

/// Returns the policy for questions that no model answers: the first one that sends to a model which another policy before it sends to.
fn ambiguous(policies: &Policies) -> Option<&Policy> {
    let repeated = |index: &usize| policies.0[..*index].iter().any(|before| before.model == policies.0[*index].model);
    (0..policies.0.len()).find(repeated).map(|index| &policies.0[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policies(written: &[(&str, &str)]) -> Policies {
        let policy = |(name, model): &(&str, &str)| Policy {
            name: (*name).to_owned(),
            model: (*model).to_owned(),
            description: String::new(),
            keyword: None,
        };
        Policies(written.iter().map(policy).collect())
    }

    #[test]
    fn with_two_models_it_is_the_nine_cells() {
        let policies = policies(&[("Standard", "medium"), ("Complex", "large"), ("Ambiguous", "medium")]);
        let matrix = complete(BTreeMap::new(), &policies).unwrap();
        let expected = [
            ("correct/correct", "Standard"),
            ("correct/idk", "Standard"),
            ("correct/incorrect", "Standard"),
            ("idk/correct", "Complex"),
            ("idk/idk", "Ambiguous"),
            ("idk/incorrect", "Ambiguous"),
            ("incorrect/correct", "Complex"),
            ("incorrect/idk", "Complex"),
            ("incorrect/incorrect", "Ambiguous"),
        ];
        let expected: BTreeMap<_, _> = expected.map(|(cell, policy)| (cell.to_owned(), policy.to_owned())).into();
        assert_eq!(matrix, expected);
    }

    #[test]
    fn with_three_models_the_cheapest_correct_one_decides() {
        let policies = policies(&[("A", "small"), ("B", "medium"), ("C", "large"), ("Nobody", "small")]);
        let matrix = complete(BTreeMap::new(), &policies).unwrap();
        assert_eq!(matrix.len(), 27);
        for (cell, policy) in [
            ("incorrect/correct/correct", "B"),
            ("idk/incorrect/correct", "C"),
            ("incorrect/incorrect/idk", "C"),
            ("incorrect/idk/incorrect", "B"),
            ("idk/incorrect/idk", "Nobody"),
        ] {
            assert_eq!(matrix[cell], policy, "{cell}");
        }
    }

    #[test]
    fn a_given_cell_wins_and_a_wrong_one_is_named() {
        let policies = policies(&[("S", "medium"), ("C", "large")]);
        let mistakes = complete(BTreeMap::new(), &policies).unwrap_err();
        assert!(mistakes.iter().any(|mistake| mistake.message.contains("idk/idk")), "{mistakes:?}");
        let given = |cell: &str, policy: &str| BTreeMap::from([(cell.to_owned(), policy.to_owned())]);
        assert!(complete(given("correct", "S"), &policies).unwrap_err()[0].message.contains("no cell"));
        assert!(complete(given("idk/idk", "X"), &policies).unwrap_err()[0].message.contains("no policy `X`"));
    }
}
