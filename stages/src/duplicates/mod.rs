//! Duplicate questions. Takes questions in splits; gives those that repeat another in the same or nearly the same words, and drops them if the
//! manifest asks for it.
//!
//! Read this file (equal texts, splits and what is dropped) first, then `minhash` (nearly equal texts).

mod minhash;

use std::collections::BTreeMap;

use engine::{Context, StageError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rows::{Question, Split};
use minhash::{Index, Orders};

/// What happens to duplicate questions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Duplicates {
    /// All stay.
    #[default]
    Keep,
    /// Keeps one of each group: the first, and of near duplicates in several splits the one in the most held-out split.
    Drop,
    /// Drops questions that nearly repeat one of a more held-out split, so that nothing held out was seen in training.
    DropAcross,
}

/// A question and the one that it repeats, by their numbers.
#[derive(Debug, PartialEq, Eq)]
struct Again {
    question: usize,
    repeats: usize,
}

/// All duplicates.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    /// Questions in the same words as another, which are always in the same split.
    same: Vec<Again>,
    /// Questions in nearly the same words as another in the same split.
    near: Vec<Again>,
    /// Questions in nearly the same words as another in a more held-out split.
    across: Vec<Again>,
}

/// Reports duplicates, and drops those that `choice` asks to drop.
pub(crate) fn settle(
    ctx: &Context,
    questions: &mut Vec<Question>,
    choice: Duplicates,
    threshold: Option<f64>,
) -> Result<(), StageError> {
    let found = find(questions, choice, threshold, || ctx.check())?;
    let dropped = dropped(questions.len(), &found, choice);
    let tell = |again: &[Again], what: &str, rest: &str| {
        let Some(Again { question, repeats }) = again.first() else { return };
        let [question, repeats] = [question, repeats].map(|number| &questions[*number]);
        let pair = if asked(question) == asked(repeats) {
            format!("`{}` and `{}` (`{}`)", question.id, repeats.id, beginning(&question.question))
        } else {
            let named = |one: &Question| format!("`{}` (`{}`)", one.id, beginning(&one.question));
            format!("{} and {}", named(question), named(repeats))
        };
        let count = if again.len() == 1 { "1 question is".to_owned() } else { format!("{} questions are", again.len()) };
        let message = format!("{count} {what}, such as {pair}{rest}");
        if again.iter().all(|again| dropped[again.question]) {
            ctx.say(format!("{message}; left out"));
        } else {
            ctx.warn(message);
        }
    };
    tell(&found.same, "asked more than once", "; each text is in one split");
    tell(&found.near, "nearly asked before in the same split", "");
    tell(&found.across, "nearly asked in a more held-out split too", "");
    let mut numbers = 0..;
    questions.retain(|_| numbers.next().is_some_and(|number| !dropped[number]));
    Ok(())
}

/// Returns a text in lower case with single spaces, as it is compared.
pub(crate) fn normalised(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Returns the beginning of a text, short enough for a message.
fn beginning(text: &str) -> String {
    const ROOM: usize = 80;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(ROOM) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Returns the text that is compared: the question with its choices, since multiple choices are equal only if their choices are.
fn asked(question: &Question) -> String {
    let texts = std::iter::once(&question.question).chain(&question.choices);
    texts.map(|text| normalised(text)).collect::<Vec<_>>().join("\n")
}

fn find(
    questions: &[Question],
    choice: Duplicates,
    threshold: Option<f64>,
    check: impl Fn() -> Result<(), StageError>,
) -> Result<Found, StageError> {
    let mut found = Found::default();
    let mut first = BTreeMap::new();
    let mut texts = Vec::new();
    for (number, question) in questions.iter().enumerate() {
        let text = asked(question);
        if let Some(repeats) = first.get(&text) {
            found.same.push(Again { question: number, repeats: *repeats });
        } else {
            first.insert(text.clone(), number);
            texts.push((question.split, number, text));
        }
    }
    if let Some(threshold) = threshold {
        find_near(texts, choice, threshold, &mut found, check)?;
    }
    Ok(found)
}

/// Finds near duplicates among different texts. Held-out questions come first, so that the others are the ones that repeat them.
fn find_near(
    mut texts: Vec<(Split, usize, String)>,
    choice: Duplicates,
    threshold: f64,
    found: &mut Found,
    check: impl Fn() -> Result<(), StageError>,
) -> Result<(), StageError> {
    texts.sort_by_key(|(split, number, _)| (std::cmp::Reverse(*split), *number));
    let orders = Orders::new();
    let mut read: Vec<minhash::Text> = Vec::with_capacity(texts.len());
    let mut compared = vec![usize::MAX; texts.len()];
    // One index for each split so far, the most held-out first.
    let mut indices: Vec<(Split, Index)> = Vec::new();
    for (place, (split, number, text)) in texts.iter().enumerate() {
        check()?;
        let text = orders.read(text);
        let near = indices.iter().find_map(|(other, index)| {
            let mut candidates =
                index.candidates(&text).filter(|candidate| std::mem::replace(&mut compared[*candidate], place) != place);
            let repeats = candidates.find(|candidate| text.is_near(&read[*candidate], threshold))?;
            Some((*other, repeats))
        });
        let drops = match near {
            Some((other, repeats)) => {
                let again = Again { question: *number, repeats: texts[repeats].1 };
                let across = other != *split;
                if across {
                    found.across.push(again);
                } else {
                    found.near.push(again);
                }
                choice == Duplicates::Drop || (across && choice == Duplicates::DropAcross)
            }
            None => false,
        };
        // A dropped question must not cause another to be dropped, so it is not indexed.
        if !drops {
            if indices.last().is_none_or(|(last, _)| last != split) {
                indices.push((*split, Index::new(threshold)));
            }
            if let Some((_, index)) = indices.last_mut() {
                index.add(&text, place);
            }
        }
        read.push(text);
    }
    for again in [&mut found.near, &mut found.across] {
        again.sort_by_key(|again| again.question);
    }
    Ok(())
}

/// Returns the ids of questions that nearly ask what a more held-out question asks, with the id of that one.
pub(crate) fn across(ctx: &Context, questions: &[Question], threshold: f64) -> Result<Vec<(String, String)>, StageError> {
    let found = find(questions, Duplicates::Keep, Some(threshold), || ctx.check())?;
    let id = |number: usize| questions[number].id.clone();
    Ok(found.across.iter().map(|again| (id(again.question), id(again.repeats))).collect())
}

/// Returns for each question whether it is dropped.
fn dropped(questions: usize, found: &Found, choice: Duplicates) -> Vec<bool> {
    let mut dropped = vec![false; questions];
    let mut mark = |again: &[Again]| again.iter().for_each(|again| dropped[again.question] = true);
    match choice {
        Duplicates::Keep => {}
        Duplicates::Drop => [&found.same, &found.near, &found.across].into_iter().for_each(|again| mark(again)),
        Duplicates::DropAcross => {
            mark(&found.across);
            // An equal question shares the fate of the first one with its words.
            for again in &found.same {
                dropped[again.question] = dropped[again.repeats];
            }
        }
    }
    dropped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn question(split: Split, text: &str) -> Question {
        serde_json::from_value(json!({ "id": "", "question": text, "gold": [], "benchmark": "", "split": split })).unwrap()
    }

    fn left(questions: &[Question], choice: Duplicates, threshold: Option<f64>) -> (Found, Vec<usize>) {
        let found = find(questions, choice, threshold, || Ok(())).unwrap();
        let dropped = dropped(questions.len(), &found, choice);
        (found, (0..questions.len()).filter(|number| !dropped[*number]).collect())
    }

    fn pairs(again: &[Again]) -> Vec<(usize, usize)> {
        again.iter().map(|again| (again.question, again.repeats)).collect()
    }

    const LONG: &str = "Which of the rivers that flow from the northern side of the mountains reaches the sea first";

    fn several() -> Vec<Question> {
        let near = |end: &str| format!("{LONG}{end}");
        vec![
            question(Split::Train, "What is a cat?"),
            question(Split::Train, &near("?")),
            question(Split::Train, "what is  A cat?"),
            question(Split::Test, &near(", then?")),
            question(Split::Train, &near("?").to_uppercase()),
            question(Split::Validation, "Where do the swallows of the old town spend the long winter?"),
            question(Split::Validation, "Where do the swallows of the old town spend the long winters?"),
        ]
    }

    #[test]
    fn the_same_the_near_and_those_across_splits_are_told_apart() {
        let (found, left) = left(&several(), Duplicates::Keep, Some(0.8));
        assert_eq!(pairs(&found.same), [(2, 0), (4, 1)]);
        assert_eq!(pairs(&found.near), [(6, 5)]);
        assert_eq!(pairs(&found.across), [(1, 3)]);
        assert_eq!(left, [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn near_ones_are_looked_for_on_demand() {
        let (found, left) = left(&several(), Duplicates::Drop, None);
        assert!(found.near.is_empty() && found.across.is_empty());
        assert_eq!(left, [0, 1, 3, 5, 6]);
    }

    #[test]
    fn one_of_each_stays_and_the_held_out_one_first() {
        assert_eq!(left(&several(), Duplicates::Drop, Some(0.8)).1, [0, 3, 5]);
        // The copy of a dropped question is dropped too.
        assert_eq!(left(&several(), Duplicates::DropAcross, Some(0.8)).1, [0, 2, 3, 5, 6]);
    }

    #[test]
    fn choices_are_part_of_the_question() {
        let with = |choices: [&str; 2]| Question {
            choices: choices.map(str::to_owned).into(),
            ..question(Split::Train, "Which is even?")
        };
        let (found, _) = left(&[with(["1", "2"]), with(["3", "4"]), with(["1", "2"])], Duplicates::Keep, None);
        assert_eq!(pairs(&found.same), [(2, 0)]);
    }

    #[test]
    fn what_is_dropped_drops_nothing() {
        // Each is near the one before, and not near the one before that.
        let words: Vec<_> = (10..50).map(|number| format!("word{number}")).collect();
        let chain = [0, 4, 8].map(|from| question(Split::Test, &words[from..from + 20].join(" ")));
        let (found, left) = left(&chain, Duplicates::Drop, Some(0.6));
        assert_eq!((pairs(&found.near), left), (vec![(1, 0)], vec![0, 2]));
    }

    #[test]
    fn a_text_is_cut_where_a_message_ends() {
        assert_eq!(beginning("a\n b"), "a b");
        assert_eq!(beginning(&"é".repeat(81)), format!("{}…", "é".repeat(80)));
    }
}
