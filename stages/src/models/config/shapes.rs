//! Shapes of a configuration's weights, from which memory is estimated. Takes a configuration; gives names and shapes.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::models::{
    adapters::config::AdapterConfig,
    architectures::{Shapes, architecture},
    weights::weight::{EMBEDDING, HEAD, weight_of},
};

/// The largest number of layers that is accepted. More are taken for a mistake, since the names of all their weights are built.
const MOST_LAYERS: usize = 10_000;

/// Returns the shapes of a model's weights by their names.
///
/// # Errors
/// The configuration is malformed or not supported.
pub(crate) fn shapes(config: &Map<String, Value>) -> Result<BTreeMap<String, Vec<usize>>, String> {
    let architecture = architecture(config)?;
    let layers = architecture.sizes().num_hidden_layers;
    if layers > MOST_LAYERS {
        return Err(format!("`num_hidden_layers` is {layers}"));
    }
    Ok(Shapes::of(&*architecture))
}

/// Returns the shapes of the weights that an adapter adds to weights of these shapes.
pub(crate) fn adapter_shapes(adapter: &AdapterConfig, shapes: &BTreeMap<String, Vec<usize>>) -> BTreeMap<String, Vec<usize>> {
    let mut added = BTreeMap::new();
    let (head, embedding) = (weight_of(HEAD), weight_of(EMBEDDING));
    // A head that is tied to the embedding becomes a separate matrix if it is trained.
    if let (Some(shape), true) = (shapes.get(&embedding), adapter.saves(HEAD) && !shapes.contains_key(&head)) {
        added.insert(head, shape.clone());
    }
    for (name, shape) in shapes {
        let Some(module) = name.strip_suffix(".weight") else { continue };
        if adapter.saves(module) {
            added.insert(name.clone(), shape.clone());
        } else if let [out, into] = shape[..]
            && adapter.targets(module, module != EMBEDDING && module != HEAD)
        {
            let rank = adapter.rank(module);
            added.insert(format!("{module}.lora_A.weight"), vec![rank, into]);
            added.insert(format!("{module}.lora_B.weight"), vec![out, rank]);
        }
    }
    added
}
