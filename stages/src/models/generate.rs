//! Greedy generation. Takes a model and prompts; gives the tokens that continue them. Keys and values are cached, so that no token is read twice.

use super::{
    batch::{Batch, LayoutError},
    decoder::Model,
    error::InputError,
    layers::attention::Cache,
};

/// Continues prompts with the most probable token each time, for at most `max_new_tokens` or until one of `ends`, which is returned too.
///
/// The prompts are continued in step: with `rope_type` `dynamic`, the longest one decides the angles of all, as in a batch of transformers.
///
/// # Errors
/// A prompt is empty, or a token is outside of the vocabulary.
pub fn generate(model: &Model, prompts: &[Vec<u32>], max_new_tokens: usize, ends: &[u32]) -> Result<Vec<Vec<u32>>, InputError> {
    if prompts.iter().any(Vec::is_empty) {
        return Err(LayoutError::Rows.into());
    }
    let longest = prompts.iter().map(Vec::len).max().unwrap_or(0);
    let mut rows: Vec<_> = prompts.iter().map(|prompt| (Cache::default(), prompt.clone(), Vec::new())).collect();
    for step in 0..max_new_tokens {
        for (cache, unread, tokens) in &mut rows {
            if tokens.last().is_some_and(|token| ends.contains(token)) {
                continue;
            }
            let batch = Batch::plain(std::slice::from_ref(unread))?.after(cache.tokens());
            model.check(&batch)?;
            let logits = model.logits_after(cache, &batch, &[unread.len() - 1], longest + step);
            let best = logits.argmax(1).into_data().convert::<i64>().try_into_vec::<i64>().expect("converted to i64")[0];
            let token = u32::try_from(best).expect("an index among the model's tokens");
            tokens.push(token);
            *unread = vec![token];
        }
    }
    Ok(rows.into_iter().map(|(_, _, tokens)| tokens).collect())
}
