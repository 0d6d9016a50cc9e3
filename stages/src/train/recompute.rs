//! Gradient checkpointing layer by layer (Chen et al. 2016): a model and a batch in, what the head is given out; its gradient in, those of
//! the weights out. Between the two passes only each layer's input is kept.
//!
//! On the way back each layer is computed once more, this time with a graph, so that one layer's graph is in memory at a time. The
//! numbers are those of one graph over all layers: every layer runs where gradients are computed in both passes, and dropout draws by
//! module.

use burn::tensor::Tensor;

use super::gradients::{Gradients, of_layer};
use crate::models::{Batch, EMBEDDING, Model, inject_gradient, layer_of};

/// A batch after its forward pass.
pub(super) struct Kept {
    model: Model,
    /// The input of each layer, without a graph.
    inputs: Vec<Tensor<2>>,
}

impl Kept {
    /// Runs the layers forward; what comes out is theirs at every target's place, `[targets, hidden_size]`, without a graph.
    pub(super) fn forward(model: Model, batch: &Batch) -> (Self, Tensor<2>) {
        let parameters = model.parameters();
        let mut walk = model.walk(batch);
        // Without leaves nothing is tracked, so a layer's activations go as soon as they are used.
        let untracked = |layer| parameters.of_layer(layer).with_leaves(&[]);
        let mut stream = walk.begin(&untracked(None)).inner();
        let mut inputs = Vec::with_capacity(model.layers());
        for layer in 0..model.layers() {
            inputs.push(stream.clone());
            stream = walk.layer(&untracked(Some(layer)), layer, stream.autodiff()).inner();
        }
        (Self { model, inputs }, stream)
    }

    /// Goes back from the gradient of what came out, and adds those of the named weights to `found`.
    pub(super) fn backward(self, names: &[String], batch: &Batch, slope: Tensor<2>, found: &mut Gradients) {
        let Self { model, inputs } = self;
        let parameters = model.parameters();
        let begins = names.iter().any(|name| name.starts_with(EMBEDDING));
        let lowest = if begins { Some(0) } else { names.iter().filter_map(|name| layer_of(name)).min() };
        let mut walk = model.walk(batch);
        let mut slope = Some(slope);
        for (layer, input) in inputs.into_iter().enumerate().rev() {
            // Below the lowest layer that is trained nothing asks for a gradient.
            let Some(above) = slope.take().filter(|_| lowest.is_some_and(|lowest| lowest <= layer)) else { break };
            let own = of_layer(names, Some(layer));
            let leaves = parameters.of_layer(Some(layer)).with_leaves(&own);
            let input = input.autodiff().require_grad();
            let mut gradients = inject_gradient(walk.layer(&leaves, layer, input.clone()), above).backward();
            found.add(&leaves, &own, &mut gradients);
            slope = input.grad_remove(&mut gradients);
        }
        if let Some(above) = slope.filter(|_| begins) {
            let own = of_layer(names, None);
            let leaves = parameters.of_layer(None).with_leaves(&own);
            let mut gradients = inject_gradient(walk.begin(&leaves), above).backward();
            found.add(&leaves, &own, &mut gradients);
        }
    }
}
