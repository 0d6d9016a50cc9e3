//! Names and shapes of weights → the few sizes that memory follows from.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::models::{AdapterConfig, EMBEDDING, Model, adapter_shapes, layer_of, shapes, weight_of};
use crate::train::settings::Training;
use crate::train::start;

/// Bytes of a number.
pub(super) const F32: u64 = 4;

/// Sizes of a model and of what is trained in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Bytes of all weights, as they are held.
    pub(super) weights: u64,
    /// Numbers that are trained.
    pub(super) trained: u64,
    /// Numbers of the largest matrix in 4 bits, which is made dense where it is used.
    pub(super) dense: u64,
    /// Layers.
    pub(super) layers: u64,
    /// Width of what flows from layer to layer.
    pub(super) hidden: u64,
    /// Numbers that all layers keep of a token for the way back.
    pub(super) kept: u64,
    /// Tokens that the model knows.
    pub(super) vocabulary: u64,
}

impl Sizes {
    /// Measures a model as it is, its adapter included.
    pub(crate) fn of_model(model: &Model, settings: &Training) -> Self {
        let shapes = model.parameters().iter().map(|(name, weight)| (name.to_owned(), weight.shape())).collect();
        let trained: BTreeSet<String> = model.trained_names().into_iter().collect();
        Self::new(&shapes, |name| trained.contains(name), model.config(), settings.quantization.is_some())
    }

    /// Measures a model by its configuration, with the adapter that the settings put on.
    ///
    /// # Errors
    /// A configuration that is not understood.
    pub(crate) fn of_config(config: &Map<String, Value>, settings: &Training) -> Result<Self, String> {
        let mut all = shapes(config)?;
        let adapter: Option<AdapterConfig> = settings.adapter.as_ref().map(|adapter| start::config(adapter, config));
        let added = adapter.as_ref().map(|adapter| adapter_shapes(adapter, &all)).unwrap_or_default();
        all.extend(added.clone());
        Ok(Self::new(&all, |name| adapter.is_none() || added.contains_key(name), config, settings.quantization.is_some()))
    }

    fn new(
        shapes: &BTreeMap<String, Vec<usize>>,
        trained: impl Fn(&str) -> bool,
        config: &Map<String, Value>,
        in_4_bits: bool,
    ) -> Self {
        let numbers = |shape: &[usize]| shape.iter().fold(1_u64, |product, &size| product.saturating_mul(size as u64));
        // An approximated GELU is computed of several operations, each of which keeps what it was given.
        let gelu = ["hidden_act", "hidden_activation"]
            .iter()
            .any(|key| config.get(*key).and_then(Value::as_str).is_some_and(|name| name.contains("gelu")));
        let mut sizes = Self::default();
        let mut layers = BTreeSet::new();
        for (name, shape) in shapes {
            let count = numbers(shape);
            let is_trained = trained(name);
            sizes.trained += if is_trained { count } else { 0 };
            let layer = layer_of(name);
            if in_4_bits && !is_trained && layer.is_some() && shape.len() == 2 {
                // Half a byte each, and a scale for each block of 64.
                sizes.weights = sizes.weights.saturating_add(count / 2 + count / 64 * F32);
                sizes.dense = sizes.dense.max(count);
            } else {
                sizes.weights = sizes.weights.saturating_add(count.saturating_mul(F32));
            }
            if *name == weight_of(EMBEDDING) {
                (sizes.vocabulary, sizes.hidden) = (shape[0] as u64, shape[1] as u64);
            }
            if let Some(layer) = layer {
                layers.insert(layer);
                sizes.kept = sizes.kept.saturating_add(kept(name, shape, gelu));
            }
        }
        sizes.layers = layers.len() as u64;
        sizes
    }
}

/// Counts the numbers that a token leaves at a weight: what the weight's gradient needs, or that of the operation behind it. What several
/// weights read is counted at one of them.
fn kept(name: &str, shape: &[usize], gelu: bool) -> u64 {
    let size = |axis: usize| shape.get(axis).copied().unwrap_or(0) as u64;
    let mut segments = name.rsplit('.').skip(1);
    match (segments.next().unwrap_or_default(), shape.len()) {
        (norm, 1) if norm.contains("norm") && name.ends_with(".weight") => size(0),
        ("q_proj", 2) => size(0) + size(1),
        ("k_proj" | "v_proj" | "up_proj", 2) => size(0),
        ("gate_proj", 2) => size(1) + if gelu { 3 * size(0) } else { size(0) },
        ("fc1", 2) => 2 * size(0),
        ("o_proj" | "dense" | "down_proj" | "fc2", 2) => size(1),
        _ => 0,
    }
}
