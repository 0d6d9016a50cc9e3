//! Batches one after another through one model with `rope_type` `dynamic`. Takes batches; gives logits as transformers does: a row that is longer
//! than `max_position_embeddings` changes the angles of the rows after it, until one is short again.

use burn::tensor::Tensor;

use crate::models::{batch::Batch, decoder::Model, error::InputError};

/// A model, and the length for which its angles are computed.
pub(crate) struct DynamicRope<'a> {
    model: &'a Model,
    length: usize,
}

impl<'a> DynamicRope<'a> {
    /// Starts with a model that has read nothing.
    pub(crate) fn new(model: &'a Model) -> Self {
        Self { model, length: 0 }
    }

    /// Computes the logits of some places among `rows * width`, `[places, vocab_size]`.
    ///
    /// # Errors
    /// A token is outside of the vocabulary.
    pub(crate) fn logits_at(&mut self, batch: &Batch, places: &[usize]) -> Result<Tensor<2>, InputError> {
        self.model.check(batch)?;
        let (now, most) = (batch.length(), self.model.max_position_embeddings());
        // As in transformers' `dynamic_frequency_update`, the length grows with a longer row, and is reset by one below the first length.
        self.length = if now < most { now } else { self.length.max(now) };
        Ok(self.model.logits_at_length(batch, places, self.length))
    }
}
