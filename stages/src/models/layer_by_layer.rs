//! A batch through a decoder, one layer at a time. Takes activations and weights of at least that layer; gives the next layer's activations.
//!
//! So a caller can keep the weights or the graph of one layer at a time in memory. No activations are kept here.

use burn::tensor::Tensor;

use super::{
    architectures::Architecture,
    layers::attention::{Pass, Shared},
    weights::parameters::Parameters,
};

/// A batch on its way through the layers. What all layers share is computed once.
pub(crate) struct LayerByLayer<'a> {
    architecture: &'a dyn Architecture,
    pass: Pass<'a>,
    shared: Shared,
}

impl<'a> LayerByLayer<'a> {
    pub(super) fn new(architecture: &'a dyn Architecture, pass: Pass<'a>) -> Self {
        Self { shared: architecture.shared(&pass), architecture, pass }
    }

    /// Returns the first layer's input, `[rows * width, hidden_size]`.
    pub(crate) fn begin(&self, parameters: &Parameters) -> Tensor<2> {
        self.architecture.embed(parameters, &self.pass)
    }

    /// Runs a layer: returns the next layer's input. The output of the last layer has only the wanted places.
    ///
    /// `parameters` need to have the weights of this layer only.
    pub(crate) fn layer(&mut self, parameters: &Parameters, index: usize, stream: Tensor<2>) -> Tensor<2> {
        self.architecture.layer(parameters, &mut self.pass, &self.shared, index, stream)
    }

    /// Counts the batch's tokens as read, in the cache.
    pub(crate) fn end(self) {
        self.pass.close();
    }
}
