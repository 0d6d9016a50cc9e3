//! A batch through a decoder one layer at a time. Takes activations and whichever weights the caller has; gives the next layer's activations.
//!
//! So a caller can hold the weights of one layer at a time, or its graph: nothing here keeps what passes through.

use burn::tensor::Tensor;

use super::{
    architectures::Architecture,
    layers::attention::{Pass, Shared},
    weights::parameters::Parameters,
};

/// A batch on its way; what all layers share is made once.
pub(crate) struct LayerByLayer<'a> {
    architecture: &'a dyn Architecture,
    pass: Pass<'a>,
    shared: Shared,
}

impl<'a> LayerByLayer<'a> {
    pub(super) fn new(architecture: &'a dyn Architecture, pass: Pass<'a>) -> Self {
        Self { shared: architecture.shared(&pass), architecture, pass }
    }

    /// Turns tokens into the first layer's input, `[rows * width, hidden_size]`.
    pub(crate) fn begin(&self, parameters: &Parameters) -> Tensor<2> {
        self.architecture.embed(parameters, &self.pass)
    }

    /// Runs a layer: its input to the next one's; of the last layer only the wanted places come out.
    ///
    /// `parameters` need to have this layer's weights alone.
    pub(crate) fn layer(&mut self, parameters: &Parameters, index: usize, stream: Tensor<2>) -> Tensor<2> {
        self.architecture.layer(parameters, &mut self.pass, &self.shared, index, stream)
    }

    /// Notes the batch's tokens as read.
    pub(crate) fn end(self) {
        self.pass.close();
    }
}
