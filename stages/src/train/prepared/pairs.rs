//! Pairs of answers. Takes a row; gives a prompt with the chosen and the rejected answer.

use minijinja::Value;

use super::columns::{Columns, Passage, passage};

/// Reads a row's prompt and answers. Without a `prompt`, the common beginning of both answers is the prompt.
///
/// # Errors
/// A column is missing or of another kind.
pub(crate) fn prompt_and_answers(row: &Columns) -> Result<(Passage, [Passage; 2]), String> {
    let needed = |column: &str| passage(row, column)?.ok_or_else(|| format!("`{column}` is missing"));
    let (chosen, rejected) = (needed("chosen")?, needed("rejected")?);
    match passage(row, "prompt")? {
        Some(prompt) => Ok((prompt, [chosen, rejected])),
        None => split(chosen, rejected),
    }
}

/// Splits the common beginning off two answers. Neither rest is empty.
fn split(chosen: Passage, rejected: Passage) -> Result<(Passage, [Passage; 2]), String> {
    match (chosen, rejected) {
        (Passage::Turns(chosen), Passage::Turns(rejected)) => {
            let alike = alike(&chosen, &rejected).ok_or("`chosen` or `rejected` has no message")?;
            let rest = |turns: &[Value]| Passage::Turns(turns[alike..].to_vec());
            Ok((Passage::Turns(chosen[..alike].to_vec()), [rest(&chosen), rest(&rejected)]))
        }
        (Passage::Text(chosen), Passage::Text(rejected)) => {
            let (chosen, rejected): (Vec<char>, Vec<char>) = (chosen.chars().collect(), rejected.chars().collect());
            let mut alike = alike(&chosen, &rejected).ok_or("`chosen` or `rejected` is empty")?;
            // A space before a word belongs to the word.
            if alike > 0 && chosen[alike] != rejected[alike] && chosen[alike - 1] == ' ' {
                alike -= 1;
            }
            let text = |characters: &[char]| Passage::Text(characters.iter().collect());
            Ok((text(&chosen[..alike]), [text(&chosen[alike..]), text(&rejected[alike..])]))
        }
        _ => Err("`chosen` and `rejected` are not of one kind: texts or messages".to_owned()),
    }
}

/// Returns the length of the common prefix of two lists, which is at most one less than the length of the shorter one. `None` if one is empty.
fn alike<T: PartialEq>(left: &[T], right: &[T]) -> Option<usize> {
    let shorter = left.len().min(right.len()).checked_sub(1)?;
    Some(left.iter().zip(right).take_while(|(left, right)| left == right).count().min(shorter))
}
