//! Rows for direct preference optimisation. Takes rows with a prompt and two answers; gives token ids of the prompt and of each answer.
//!
//! Rows are those of TRL's `DPOTrainer`: the prompt ends where its ids and those of either conversation differ; without a `prompt`, the common
//! beginning of the answers is the prompt. Rows are whole here; answers are cut to `max_length` when they are laid out in batches.

use minijinja::Value;

use super::DpoRow;
use crate::{
    tokenizer::{Tokenizer, TokenizerError},
    train::prepared::{
        PrepareError, Prepared,
        columns::{Columns, Passage, at, ended, refused, variables},
        common_prefix, id,
        pairs::prompt_and_answers,
    },
};

/// Prepares pairs, and drops those whose prompt alone fills `max_length`.
///
/// # Errors
/// A row lacks a column that it needs, or the tokenizer refuses it.
pub(super) fn prepare(
    tokenizer: &Tokenizer,
    rows: &[Columns],
    max_length: Option<usize>,
) -> Result<Prepared<DpoRow>, PrepareError> {
    let mut prepared = Prepared { rows: Vec::with_capacity(rows.len()), ids: Vec::with_capacity(rows.len()), cut: 0, dropped: 0 };
    for (number, columns) in rows.iter().enumerate() {
        let row = pair(tokenizer, columns, number)?;
        if max_length.is_some_and(|most| row.prompt_ids.len() >= most) {
            prepared.dropped += 1;
            continue;
        }
        let longest = row.prompt_ids.len() + row.chosen_ids.len().max(row.rejected_ids.len());
        prepared.cut += usize::from(max_length.is_some_and(|most| longest > most));
        prepared.rows.push(row);
        prepared.ids.push(id(columns, number));
    }
    Ok(prepared)
}

fn pair(tokenizer: &Tokenizer, row: &Columns, number: usize) -> Result<DpoRow, PrepareError> {
    let (at, refused) = (at(number), refused(number));
    let (prompt, [chosen, rejected]) = prompt_and_answers(row).map_err(at)?;
    let render = |turns: &[Value], opened: bool| {
        tokenizer.render_variables(variables(row, turns.to_vec(), opened).map_err(at)?).map_err(refused)
    };
    let (prompt_ids, [chosen_ids, rejected_ids]) = match (prompt, chosen, rejected) {
        (Passage::Turns(prompt), Passage::Turns(chosen), Passage::Turns(rejected)) => {
            let answered = |answer: &[Value]| render(&[prompt.as_slice(), answer].concat(), false);
            (render(&prompt, true)?, [answered(&chosen)?, answered(&rejected)?])
        }
        (Passage::Text(prompt), Passage::Text(chosen), Passage::Text(rejected)) => {
            let end = tokenizer.special_text("eos_token").ok_or_else(|| refused(TokenizerError::Unnamed("eos_token")))?;
            let encode = |text: &str| tokenizer.encode_with_special(text).map_err(refused);
            let answered = |answer: &str| encode(&(prompt.clone() + &ended(answer, end)));
            (encode(&prompt)?, [answered(&chosen)?, answered(&rejected)?])
        }
        _ => return Err(at("`prompt`, `chosen` and `rejected` are not of one kind: texts or messages".to_owned())),
    };
    let prompt = common_prefix(&prompt_ids, &chosen_ids).min(common_prefix(&prompt_ids, &rejected_ids));
    Ok(DpoRow {
        prompt_ids: prompt_ids[..prompt].to_vec(),
        chosen_ids: chosen_ids[prompt..].to_vec(),
        rejected_ids: rejected_ids[prompt..].to_vec(),
        ..DpoRow::default()
    })
}
