//! Checks for leaks: what examples must not show. Takes labels, questions and analyses; gives a sentence for each leak.

use std::collections::BTreeMap;

use engine::{Context, StageError};

use crate::{
    duplicates::{self, normalised},
    kinds::join::ById,
    rows::{Analysis, Label, Question, Split},
    sections::Policies,
};

/// The number of leaks that a message shows.
const SHOWN: usize = 3;

/// Characters of the shortest gold answer that is looked for: shorter ones are in many texts by chance.
const SHORTEST: usize = 5;

/// Share of the analyses above which words in them belong to their form, and are no answer.
const FORM: f64 = 0.01;

/// Finds held-out questions that are training questions too, in the same words.
pub(crate) fn held_out(labels: &[Label], questions: &ById<Question>) -> Result<Vec<String>, StageError> {
    let mut training = BTreeMap::new();
    for label in labels.iter().filter(|label| label.split == Split::Train) {
        training.entry(normalised(&questions.get(&label.id)?.question)).or_insert(&label.id);
    }
    let mut found = Vec::new();
    for label in labels.iter().filter(|label| label.split != Split::Train) {
        if let Some(id) = training.get(&normalised(&questions.get(&label.id)?.question)) {
            found.push(format!("`{id}` asks what `{}` asks, which is held out", label.id));
        }
    }
    Ok(found)
}

/// Finds analyses whose reasoning contains what only answers and verdicts show: the gold answer, a cell, a role's model, a policy's name.
/// What the question itself says is no leak.
pub(crate) fn told(
    labels: &[Label],
    split: Split,
    questions: &ById<Question>,
    analyses: &ById<Analysis>,
    policies: &Policies,
) -> Result<Vec<String>, StageError> {
    let mut found = Vec::new();
    let training: Vec<_> = labels.iter().filter(|label| label.split == split).collect();
    let reasonings = training.iter().map(|label| Ok(normalised(&analyses.get(&label.id)?.reasoning)));
    let reasonings = reasonings.collect::<Result<Vec<_>, StageError>>()?;
    let form = |words: &str| {
        let having = reasonings.iter().filter(|reasoning| has(reasoning, words)).count();
        having > 1 && having as f64 > FORM * reasonings.len() as f64
    };
    for (label, reasoning) in training.iter().zip(&reasonings) {
        let question = questions.get(&label.id)?;
        let asked = normalised(&question.question);
        let mut gold = question.gold.iter().map(|gold| normalised(gold)).filter(|gold| gold.chars().count() >= SHORTEST);
        if let Some(gold) = gold.find(|gold| has(reasoning, gold) && !has(&asked, gold) && !form(gold)) {
            found.push(format!("the analysis of `{}` says the answer, `{gold}`", label.id));
        }
        let asked_already = |words: &String| !has(&asked, words);
        if let Some(cell) = Some(normalised(&label.cell)).filter(|cell| has(reasoning, cell)).filter(asked_already) {
            found.push(format!("the analysis of `{}` has the verdicts, `{cell}`", label.id));
        }
        let roles = policies.0.iter().map(|policy| format!("{} model", normalised(&policy.model)));
        if let Some(model) = roles.filter(asked_already).find(|model| has(reasoning, model)) {
            found.push(format!("the analysis of `{}` speaks of the `{model}`", label.id));
        }
        if let Some(policy) = policies.0.iter().find(|policy| has(reasoning, &normalised(&policy.name))) {
            found.push(format!("the analysis of `{}` names a policy, `{}`", label.id, policy.name));
        }
    }
    Ok(found)
}

/// Finds training questions that are near duplicates of held-out ones.
pub(crate) fn near(
    ctx: &Context,
    labels: &[Label],
    questions: &ById<Question>,
    threshold: f64,
) -> Result<Vec<String>, StageError> {
    let asked = labels.iter().map(|label| Ok(Question { split: label.split, ..questions.get(&label.id)?.clone() }));
    let asked = asked.collect::<Result<Vec<_>, StageError>>()?;
    let pairs = duplicates::across(ctx, &asked, threshold)?;
    Ok(pairs.into_iter().map(|(one, other)| format!("`{one}` nearly asks what `{other}` asks, which is held out")).collect())
}

/// Returns whether the text contains the words as whole words.
fn has(text: &str, words: &str) -> bool {
    let edge = |character: Option<char>| !character.is_some_and(char::is_alphanumeric);
    text.match_indices(words).any(|(at, _)| edge(text[..at].chars().next_back()) && edge(text[at + words.len()..].chars().next()))
}

/// Joins the first leaks to one sentence with the number of the others. Returns nothing if there is no leak.
pub(crate) fn sentence(found: &[String]) -> Option<String> {
    let shown = found.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ");
    let more = found.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    (!found.is_empty()).then(|| shown + &more)
}
