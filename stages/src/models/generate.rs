//! Greedy generation: a model and a prompt in, the tokens that it goes on with out; what was read is never read again.

use super::attention::Cache;
use super::batch::{Batch, LayoutError};
use super::decoder::Model;
use super::error::InputError;

/// Goes on with a prompt, the likeliest token each time, for at most `max_new_tokens` or until one of `ends`, which is returned too.
///
/// # Errors
/// An empty prompt, or a token that the model does not have.
pub fn generate(model: &Model, prompt: &[u32], max_new_tokens: usize, ends: &[u32]) -> Result<Vec<u32>, InputError> {
    if prompt.is_empty() {
        return Err(LayoutError::Rows.into());
    }
    let mut cache = Cache::default();
    let mut tokens = Vec::new();
    let mut unread = prompt.to_vec();
    while tokens.len() < max_new_tokens {
        let batch = Batch::plain(std::slice::from_ref(&unread))?.after(cache.tokens());
        model.check(&batch)?;
        let logits = model.logits_after(&mut cache, &batch, &[unread.len() - 1]);
        let best = logits.argmax(1).into_data().convert::<i64>().try_into_vec::<i64>().expect("converted to i64")[0];
        let token = u32::try_from(best).expect("an index among the model's tokens");
        tokens.push(token);
        if ends.contains(&token) {
            break;
        }
        unread = vec![token];
    }
    Ok(tokens)
}
