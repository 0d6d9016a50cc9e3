//! Sizes of a model, from which its memory is estimated. Takes names and shapes of weights; gives sums of numbers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::models::{EMBEDDING, Model, Outline, Storage, block_of, layer_of, weight_of};

/// Bytes of an f32.
pub(super) const F32: u64 = 4;

/// Sizes of a model and of what is trained in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Bytes of all weights as they are stored.
    pub(super) weights: u64,
    /// Shapes of the weights that are trained, in the order of their names.
    pub(super) trained_shapes: Vec<Vec<usize>>,
    /// Count of the numbers that are trained.
    pub(super) trained: u64,
    /// Count of the numbers in the largest part of a matrix in 4 or 16 bits that is converted to f32 at a time.
    pub(super) block: u64,
    /// Number of layers.
    pub(super) layers: u64,
    /// Width of the hidden state between layers.
    pub(super) hidden: u64,
    /// Activations of a token that all layers keep for the backward pass.
    pub(super) kept: u64,
    /// Further activations if products are of bfloat16.
    pub(super) kept_rounded: u64,
    /// Activations of a token that norms keep in f32 on another device.
    pub(super) norms_on_device: u64,
    /// Activations of a token that all other operations keep on another device, in the number format of products.
    pub(super) others_on_device: u64,
    /// Count of the numbers in the layers' 4-bit matrices, which are converted for their products on another device.
    pub(super) coded: u64,
    /// Count of the numbers in the layers' f32 matrices, of which products of bfloat16 take a rounded copy.
    pub(super) dense: u64,
    /// Count of the numbers in the head, if it is in f32.
    pub(super) dense_head: u64,
    /// Size of the vocabulary.
    pub(super) vocabulary: u64,
}

impl Sizes {
    /// Measures a model with its adapter.
    pub(crate) fn of_model(model: &Model) -> Self {
        let weights = model.parameters().iter();
        let weights = weights.map(|(name, weight)| (name.to_owned(), (weight.shape(), Storage::of(weight)))).collect();
        let trained: BTreeSet<String> = model.trained_names().into_iter().collect();
        Self::new(&weights, |name| trained.contains(name), model.config())
    }

    /// Measures a model by its outline.
    ///
    /// # Errors
    /// The configuration cannot be read.
    pub(crate) fn of_outline(outline: &Outline) -> Result<Self, String> {
        let (mut weights, added) = (outline.weights()?, outline.added()?);
        weights.extend(added.iter().map(|(name, shape)| (name.clone(), (shape.clone(), Storage::Full))));
        Ok(Self::new(&weights, |name| outline.adapter.is_none() || added.contains_key(name), &outline.config))
    }

    fn new(
        weights: &BTreeMap<String, (Vec<usize>, Storage)>,
        trained: impl Fn(&str) -> bool,
        config: &Map<String, Value>,
    ) -> Self {
        let numbers = |shape: &[usize]| shape.iter().fold(1_u64, |product, &size| product.saturating_mul(size as u64));
        // An approximated GELU is composed of several operations, each of which keeps its input.
        let gelu = ["hidden_act", "hidden_activation"]
            .iter()
            .any(|key| config.get(*key).and_then(Value::as_str).is_some_and(|name| name.contains("gelu")));
        let mut sizes = Self::default();
        let mut layers = BTreeSet::new();
        for (name, (shape, storage)) in weights {
            let count = numbers(shape);
            let is_trained = trained(name);
            if is_trained {
                sizes.trained += count;
                sizes.trained_shapes.push(shape.clone());
            }
            // Trained weights are converted to f32.
            let storage = if is_trained { Storage::Full } else { *storage };
            sizes.weights = sizes.weights.saturating_add(storage.bytes(count));
            if storage != Storage::Full {
                sizes.block = sizes.block.max(count.min(block_of(shape)));
            }
            let layer = layer_of(name);
            if *name == weight_of(EMBEDDING) {
                (sizes.vocabulary, sizes.hidden) = (shape[0] as u64, shape[1] as u64);
            }
            let in_product = storage == Storage::Full && shape.len() == 2;
            if let Some(layer) = layer {
                layers.insert(layer);
                sizes.kept = sizes.kept.saturating_add(kept(name, shape, gelu));
                sizes.kept_rounded = sizes.kept_rounded.saturating_add(kept_rounded(name, shape, gelu));
                sizes.dense = sizes.dense.saturating_add(if in_product { count } else { 0 });
                // On a device the gate has its own kernel, whatever its function. Among vectors, only norms keep activations.
                let on_device = if shape.len() == 1 { &mut sizes.norms_on_device } else { &mut sizes.others_on_device };
                *on_device = on_device.saturating_add(kept(name, shape, false));
                let quantised = matches!(storage, Storage::Nf4 | Storage::Nf4Nested);
                sizes.coded = sizes.coded.saturating_add(if quantised { count } else { 0 });
            } else if in_product {
                // The head, or the embedding if they are tied.
                sizes.dense_head = count;
            }
        }
        sizes.layers = layers.len() as u64;
        sizes
    }
}

/// Counts the activations that a token keeps at a weight, for the gradient of the weight or of the operation after it. An input of several
/// weights is counted at one of them.
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

/// Counts further activations if products are of bfloat16: each product has a rounded copy of its input, and the gate is composed of several
/// operations, whose count is measured.
fn kept_rounded(name: &str, shape: &[usize], gelu: bool) -> u64 {
    let size = |axis: usize| shape.get(axis).copied().unwrap_or(0) as u64;
    let mut segments = name.rsplit('.').skip(1);
    match (segments.next().unwrap_or_default(), shape.len()) {
        ("k_proj" | "v_proj" | "up_proj" | "o_proj" | "dense", 2) => size(1),
        ("gate_proj", 2) if !gelu => 4 * size(0),
        _ => 0,
    }
}
