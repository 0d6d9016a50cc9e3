//! Gradients of a model's weights. Takes the gradients of a pass's graphs; gives them by weight, in order.

use std::collections::BTreeMap;

use burn::tensor;

use crate::models::{Parameters, Values, layer_of};

/// Gradients by the names of the weights.
#[derive(Default)]
pub(super) struct Gradients(BTreeMap<String, Values>);

impl Gradients {
    /// Adds the gradients of a graph. A weight in two graphs, such as a tied embedding, has their sum.
    pub(super) fn add(&mut self, leaves: &Parameters, names: &[String], found: &mut tensor::Gradients) {
        for name in names {
            let Some(gradient) = leaves.gradient(name, found) else { continue };
            match self.0.get_mut(name) {
                Some(sum) => sum.add(&gradient),
                None => drop(self.0.insert(name.clone(), gradient)),
            }
        }
    }

    /// Returns the gradients of the named weights in their order. A weight that the loss does not depend on has zeros.
    pub(super) fn in_order(mut self, parameters: &Parameters, names: &[String]) -> Vec<Values> {
        names.iter().map(|name| self.0.remove(name).unwrap_or_else(|| parameters.zeros(name))).collect()
    }
}

/// Adds gradients to `sum`, weight by weight. Either may be empty.
pub(super) fn add(sum: &mut Vec<Values>, other: Vec<Values>) {
    if sum.is_empty() {
        *sum = other;
        return;
    }
    for (sum, other) in sum.iter_mut().zip(&other) {
        sum.add(other);
    }
}

/// Returns the names of a layer's weights, or of those outside all layers.
pub(super) fn of_layer(names: &[String], layer: Option<usize>) -> Vec<String> {
    names.iter().filter(|name| layer_of(name) == layer).cloned().collect()
}
