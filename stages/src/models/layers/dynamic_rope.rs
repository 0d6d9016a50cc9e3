//! Batches one after another through one model, as transformers reads them: with `rope_type` `dynamic` a row that is longer than
//! `max_position_embeddings` changes the angles of the rows after it, until one is short again.

use burn::tensor::Tensor;

use crate::models::{batch::Batch, decoder::Model, error::InputError};

/// A model, and the length that its angles are made for.
pub(crate) struct DynamicRope<'a> {
    model: &'a Model,
    length: usize,
}

impl<'a> DynamicRope<'a> {
    /// Begins with a model that has read nothing.
    pub(crate) fn new(model: &'a Model) -> Self {
        Self { model, length: 0 }
    }

    /// Computes the logits of some places among `rows * width`, `[places, vocab_size]`.
    ///
    /// # Errors
    /// A token that the model does not have.
    pub(crate) fn logits_at(&mut self, batch: &Batch, places: &[usize]) -> Result<Tensor<2>, InputError> {
        self.model.check(batch)?;
        let (now, most) = (batch.length(), self.model.max_position_embeddings());
        // `dynamic_frequency_update` of transformers: grow with a longer row, and begin anew with one below the first length.
        self.length = if now < most { now } else { self.length.max(now) };
        Ok(self.model.logits_at_length(batch, places, self.length))
    }
}
