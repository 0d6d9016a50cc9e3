//! Gradient checkpointing layer by layer (Chen et al. 2016): a model and a batch in, logits out; the gradient of the logits in, those of the
//! weights out. Between the two passes only each layer's input is kept.
//!
//! On the way back each layer is computed once more, this time with a graph, so that one layer's graph is in memory at a time. The
//! numbers are those of one graph over all layers: every layer runs where gradients are computed in both passes, and dropout draws by
//! module.

use std::collections::BTreeMap;

use burn::tensor::{Gradients, Tensor};

use crate::models::{Batch, EMBEDDING, Model, Parameters, layer_of};

/// A batch after its forward pass.
pub(super) struct Kept {
    model: Model,
    /// The input of each layer, without a graph.
    inputs: Vec<Tensor<2>>,
    /// Weights of norm and head as leaves, and the leaf that is the last layer's output.
    end: Parameters,
    output: Tensor<2>,
    logits: Tensor<2>,
}

/// Gradients by the names of the weights.
type Found = BTreeMap<String, Vec<f32>>;

impl Kept {
    /// Runs the model forward for the batch's targets.
    pub(super) fn forward(model: Model, names: &[String], batch: &Batch) -> Self {
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
        let end = parameters.of_layer(None).with_leaves(&of_layer(names, None));
        let output = stream.autodiff().require_grad();
        let logits = walk.end(&end, output.clone());
        Self { model, inputs, end, output, logits }
    }

    /// Returns the logits, `[targets, vocab_size]`.
    pub(super) fn logits(&self) -> Tensor<2> {
        self.logits.clone()
    }

    /// Goes back from the gradient of the logits, and returns those of the named weights in their order.
    pub(super) fn backward(self, names: &[String], batch: &Batch, slope: Tensor<2>) -> Vec<Vec<f32>> {
        let Self { model, inputs, end, output, logits } = self;
        let parameters = model.parameters();
        let mut found = Found::new();
        let mut gradients = (logits * slope).sum().backward();
        add(&mut found, &end, &of_layer(names, None), &mut gradients);
        let begins = names.iter().any(|name| name.starts_with(EMBEDDING));
        let lowest = if begins { Some(0) } else { names.iter().filter_map(|name| layer_of(name)).min() };
        let mut walk = model.walk(batch);
        let mut slope = output.grad_remove(&mut gradients);
        for (layer, input) in inputs.into_iter().enumerate().rev() {
            // Below the lowest layer that is trained nothing asks for a gradient.
            let Some(above) = slope.take().filter(|_| lowest.is_some_and(|lowest| lowest <= layer)) else { break };
            let own = of_layer(names, Some(layer));
            let leaves = parameters.of_layer(Some(layer)).with_leaves(&own);
            let input = input.autodiff().require_grad();
            let mut gradients = (walk.layer(&leaves, layer, input.clone()) * above).sum().backward();
            add(&mut found, &leaves, &own, &mut gradients);
            slope = input.grad_remove(&mut gradients);
        }
        if let Some(above) = slope.filter(|_| begins) {
            let own = of_layer(names, None);
            let leaves = parameters.of_layer(None).with_leaves(&own);
            let mut gradients = (walk.begin(&leaves) * above).sum().backward();
            add(&mut found, &leaves, &own, &mut gradients);
        }
        let size = |name: &String| parameters.get(name).map_or(0, |weight| weight.shape().iter().product());
        let zeros = |name: &String| vec![0.0; size(name)];
        names.iter().map(|name| found.remove(name).unwrap_or_else(|| zeros(name))).collect()
    }
}

/// Names those weights that belong to a layer, or to none.
fn of_layer(names: &[String], layer: Option<usize>) -> Vec<String> {
    names.iter().filter(|name| layer_of(name) == layer).cloned().collect()
}

/// Adds what a part of the model found: a weight that is used at both ends, as a tied embedding, gets the sum.
fn add(found: &mut Found, leaves: &Parameters, names: &[String], gradients: &mut Gradients) {
    for name in names {
        let Some(gradient) = leaves.gradient(name, gradients) else { continue };
        match found.get_mut(name) {
            Some(sum) => sum.iter_mut().zip(gradient).for_each(|(sum, gradient)| *sum += gradient),
            None => {
                found.insert(name.clone(), gradient);
            }
        }
    }
}
