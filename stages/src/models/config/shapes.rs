//! A configuration's weights by name and shape, without any weight: what memory is estimated from.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::models::{
    adapters::config::AdapterConfig,
    architectures::{Shapes, architecture},
    weights::weight::{EMBEDDING, HEAD, weight_of},
};

/// More layers are taken for a mistake: a name each would be made of them.
const MOST_LAYERS: usize = 10_000;

/// Lists the shapes of a model's weights by their names.
///
/// # Errors
/// A configuration that is not understood.
pub(crate) fn shapes(config: &Map<String, Value>) -> Result<BTreeMap<String, Vec<usize>>, String> {
    let architecture = architecture(config)?;
    let layers = architecture.sizes().num_hidden_layers;
    if layers > MOST_LAYERS {
        return Err(format!("`num_hidden_layers` is {layers}"));
    }
    Ok(Shapes::of(&*architecture))
}

/// Lists the shapes of what an adapter adds to weights of these shapes.
pub(crate) fn adapter_shapes(adapter: &AdapterConfig, shapes: &BTreeMap<String, Vec<usize>>) -> BTreeMap<String, Vec<usize>> {
    let mut added = BTreeMap::new();
    let (head, embedding) = (weight_of(HEAD), weight_of(EMBEDDING));
    // A head that is the embedding's matrix becomes one of its own where it is trained.
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
