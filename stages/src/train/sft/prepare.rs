//! Rows for supervised fine-tuning, as prepared by TRL's `SFTTrainer`. Takes rows with a conversation, a prompt with its completion, or a text;
//! gives token ids and labels.
//!
//! A prompt is tokenised as the model will see it, and once more together with its completion. The completion begins where the two differ, so
//! that tokens which the template writes at the end of an answer are learned.

use super::{
    IGNORED, Packing, Sft, SftRow,
    packing::{self, Packed},
};
use crate::{
    tokenizer::{Tokenizer, TokenizerError},
    train::prepared::{
        PrepareError, Prepared,
        columns::{Columns, Passage, at, conversation, ended, passage, refused, variables},
        common_prefix, id,
    },
};

/// Prepares rows: cuts them to `max_length`, and drops those that have no token left to learn.
///
/// # Errors
/// A row lacks a column that it needs, or the tokenizer refuses it.
pub(super) fn prepare(
    tokenizer: &Tokenizer,
    rows: &[Columns],
    settings: &Sft,
    max_length: Option<usize>,
) -> Result<Prepared<SftRow>, PrepareError> {
    let by_default = rows.first().is_some_and(|row| row.contains_key("prompt") && row.contains_key("completion"));
    let completion_only = settings.completion_only_loss.unwrap_or(by_default);
    let mut prepared = Prepared { rows: Vec::with_capacity(rows.len()), ids: Vec::with_capacity(rows.len()), cut: 0, dropped: 0 };
    for (number, row) in rows.iter().enumerate() {
        let tokens = tokens(tokenizer, row, number, settings.assistant_only_loss)?;
        prepared.rows.push(tokens.labelled(completion_only));
        prepared.ids.push(id(row, number));
    }
    match (settings.packing, max_length) {
        (Some(_), None | Some(0)) => Err(PrepareError::Unbounded),
        (Some(strategy), Some(length)) => {
            let cut = if strategy == Packing::Bfd { longer(&prepared.rows, length) } else { 0 };
            let packed = packing::pack(&prepared.rows, length, strategy);
            let named = |from: &[usize]| from.iter().map(|&row| prepared.ids[row].as_str()).collect::<Vec<_>>().join(", ");
            let (rows, ids) = packed.into_iter().map(|Packed { row, from }| (row, named(&from))).unzip();
            Ok(Prepared { rows, ids, cut, dropped: 0 })
        }
        (None, Some(length)) => {
            prepared.cut = longer(&prepared.rows, length);
            for row in &mut prepared.rows {
                row.input_ids.truncate(length);
                row.labels.truncate(length);
            }
            let before = prepared.rows.len();
            let learned = |row: &SftRow| row.labels.iter().any(|&label| label != IGNORED);
            let kept = prepared.rows.into_iter().zip(prepared.ids).filter(|(row, _)| learned(row));
            (prepared.rows, prepared.ids) = kept.unzip();
            prepared.dropped = before - prepared.rows.len();
            Ok(prepared)
        }
        (None, None) => Ok(prepared),
    }
}

fn longer(rows: &[SftRow], length: usize) -> usize {
    rows.iter().filter(|row| row.input_ids.len() > length).count()
}

/// A row's ids, with which of them belong to the completion and to the assistant.
struct Tokens {
    ids: Vec<u32>,
    /// The index at which the completion begins, if the row has one.
    completion: Option<usize>,
    /// For each id whether the assistant wrote it, if the settings need it.
    assistant: Option<Vec<bool>>,
}

impl Tokens {
    fn labelled(self, completion_only: bool) -> SftRow {
        let begin = self.completion.filter(|_| completion_only).unwrap_or(0);
        let learned = |place: usize| place >= begin && self.assistant.as_ref().is_none_or(|mask| mask[place]);
        let labels = self.ids.iter().enumerate().map(|(place, &id)| if learned(place) { i64::from(id) } else { IGNORED });
        SftRow { labels: labels.collect(), input_ids: self.ids, seq_lengths: None }
    }
}

fn tokens(tokenizer: &Tokenizer, row: &Columns, number: usize, assistant_only: bool) -> Result<Tokens, PrepareError> {
    let (at, refused) = (at(number), refused(number));
    let end = || tokenizer.special_text("eos_token").ok_or_else(|| refused(TokenizerError::Unnamed("eos_token")));
    let tokens = match (passage(row, "prompt").map_err(at)?, passage(row, "completion").map_err(at)?) {
        (Some(Passage::Turns(prompt)), Some(Passage::Turns(completion))) => {
            let opened = variables(row, prompt.clone(), true).map_err(at)?;
            let prompt_ids = tokenizer.render_variables(opened).map_err(refused)?;
            let turns = prompt.into_iter().chain(completion).collect();
            let (ids, assistant) = rendered(tokenizer, row, turns, number, assistant_only)?;
            Tokens { completion: Some(common_prefix(&prompt_ids, &ids)), ids, assistant }
        }
        (Some(Passage::Text(prompt)), Some(Passage::Text(completion))) => {
            let prompt_ids = tokenizer.encode_with_special(&prompt).map_err(refused)?;
            let whole = prompt + &ended(&completion, end()?);
            let ids = tokenizer.encode_with_special(&whole).map_err(refused)?;
            Tokens { completion: Some(common_prefix(&prompt_ids, &ids)), ids, assistant: None }
        }
        (Some(_), Some(_)) => return Err(at("`prompt` and `completion` are not of one kind: texts or messages".to_owned())),
        (Some(_), None) => return Err(at("`prompt` is given without `completion`".to_owned())),
        (None, _) => match (conversation(row).map_err(at)?, passage(row, "text").map_err(at)?) {
            (Some(Passage::Turns(turns)), _) => {
                let (ids, assistant) = rendered(tokenizer, row, turns, number, assistant_only)?;
                Tokens { ids, completion: None, assistant }
            }
            (_, Some(Passage::Text(text))) => {
                let ids = tokenizer.encode_with_special(&ended(&text, end()?)).map_err(refused)?;
                Tokens { ids, completion: None, assistant: None }
            }
            _ => return Err(at("there are neither `messages`, nor `prompt` and `completion`, nor `text`".to_owned())),
        },
    };
    match &tokens.assistant {
        None if assistant_only => Err(at("`assistant_only_loss` requires conversations".to_owned())),
        Some(mask) if !mask.contains(&true) => Err(at("the assistant wrote no token of it".to_owned())),
        _ => Ok(tokens),
    }
}

fn rendered(
    tokenizer: &Tokenizer,
    row: &Columns,
    turns: Vec<minijinja::Value>,
    number: usize,
    assistant_only: bool,
) -> Result<(Vec<u32>, Option<Vec<bool>>), PrepareError> {
    let variables = variables(row, turns, false).map_err(at(number))?;
    let rendered = if assistant_only {
        tokenizer.render_with_mask(variables).map(|(ids, mask)| (ids, Some(mask)))
    } else {
        tokenizer.render_variables(variables).map(|ids| (ids, None))
    };
    rendered.map_err(refused(number))
}
