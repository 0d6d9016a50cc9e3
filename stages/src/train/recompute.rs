//! Gradient checkpointing layer by layer (Chen et al. 2016). Takes a model and a batch; gives the output of the layers. Then takes its gradient;
//! gives those of the weights. Between the two passes, only the input of each layer is kept.
//!
//! The backward pass computes each layer again with a graph, so that only one layer's graph is in memory. The numbers are those of one graph over
//! all layers: both passes run on the same backend, and dropout is drawn by module.

use burn::tensor::Tensor;

use super::gradients::{Gradients, of_layer};
use crate::models::{Batch, EMBEDDING, Model, inject_gradient, layer_of};

/// A batch after its forward pass.
pub(super) struct Checkpoints {
    model: Model,
    /// The input of each layer, without a graph.
    inputs: Vec<Tensor<2>>,
}

impl Checkpoints {
    /// Runs the layers forward. Returns their output at every target's place, `[targets, hidden_size]`, without a graph.
    pub(super) fn forward(model: Model, batch: &Batch) -> (Self, Tensor<2>) {
        let parameters = model.parameters();
        let mut walk = model.walk(batch);
        // Without leaves nothing is tracked, so that activations are freed as soon as they are used.
        let untracked = |layer| parameters.of_layer(layer).with_leaves(&[]);
        let mut stream = walk.begin(&untracked(None)).inner();
        let mut inputs = Vec::with_capacity(model.layers());
        for layer in 0..model.layers() {
            inputs.push(stream.clone());
            stream = walk.layer(&untracked(Some(layer)), layer, stream.autodiff()).inner();
        }
        (Self { model, inputs }, stream)
    }

    /// Runs the backward pass from the gradient of the output, and adds the gradients of the named weights to `found`.
    pub(super) fn backward(self, names: &[String], batch: &Batch, slope: Tensor<2>, found: &mut Gradients) {
        let Self { model, inputs } = self;
        let parameters = model.parameters();
        let begins = names.iter().any(|name| name.starts_with(EMBEDDING));
        let lowest = if begins { Some(0) } else { names.iter().filter_map(|name| layer_of(name)).min() };
        let mut walk = model.walk(batch);
        let mut slope = Some(slope);
        for (layer, input) in inputs.into_iter().enumerate().rev() {
            // Layers below the lowest trained one need no gradient.
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
