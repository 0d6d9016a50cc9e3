//! A configuration's weights by name and shape, without any weight: what memory is estimated from.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::models::{
    adapters::config::AdapterConfig,
    architectures::{Shapes, architecture},
    new::{FirstAttention, NewModel},
    weights::weight::{EMBEDDING, HEAD, weight_of},
};

/// More layers are taken for a mistake: a name each would be made of them.
const MOST_LAYERS: usize = 10_000;

/// Writes the configuration that a decoder from scratch has, as far as shapes follow from it; its tokenizer may learn fewer tokens.
pub(crate) fn config_of(new: &NewModel) -> Map<String, Value> {
    let config = json!({
        "model_type": "llama",
        "attention_bias": new.attention == FirstAttention::Reading,
        "hidden_size": new.hidden_size,
        "intermediate_size": new.intermediate_size,
        "max_position_embeddings": new.max_position_embeddings,
        "num_attention_heads": new.num_attention_heads,
        "num_hidden_layers": new.num_hidden_layers,
        "num_key_value_heads": new.num_key_value_heads,
        "tie_word_embeddings": true,
        "vocab_size": new.vocab_size,
    });
    match config {
        Value::Object(config) => config,
        _ => unreachable!("it was written as an object"),
    }
}

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
