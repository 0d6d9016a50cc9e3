//! Architectures. Takes a configuration; gives the shapes of its weights, and how tokens become logits.
//!
//! This file has the trait and what several architectures share. Read `llama` first, with `block`, which it shares with Mistral and Qwen 2.
//! Each of the others says how it differs from one before it. An architecture is added by one file and a line in [`ARCHITECTURES`].

mod block;
mod gemma;
mod gemma2;
mod gemma3;
mod llama;
mod mistral;
mod phi;
mod qwen2;
mod qwen3;

use std::{collections::BTreeMap, fmt};

use burn::tensor::Tensor;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    config::Keys,
    layers::attention::{Pass, Shared},
    weights::{
        parameters::Parameters,
        weight::{EMBEDDING, HEAD},
    },
};

type Open = fn(Keys) -> Result<Box<dyn Architecture>, String>;

/// Every architecture by its `model_type`.
pub(crate) const ARCHITECTURES: [(&str, Open); 8] = [
    ("gemma", gemma::open),
    ("gemma2", gemma2::open),
    ("gemma3_text", gemma3::open),
    ("llama", llama::open),
    ("mistral", mistral::open),
    ("phi", phi::open),
    ("qwen2", qwen2::open),
    ("qwen3", qwen3::open),
];

/// Builds the architecture that a configuration names.
pub(crate) fn architecture(config: &Map<String, Value>) -> Result<Box<dyn Architecture>, String> {
    let Some(Value::String(name)) = config.get("model_type") else { return Err("`model_type` is missing".into()) };
    let known = ARCHITECTURES.map(|(name, _)| name);
    let Some((_, open)) = ARCHITECTURES.iter().find(|(known, _)| known == name) else {
        return Err(format!("`model_type` `{name}` is not one of {}", known.join(", ")));
    };
    open(Keys::new(config)?)
}

/// A decoder's computation, with the sizes of its `config.json`.
pub(super) trait Architecture: fmt::Debug + Send + Sync {
    /// Returns the sizes that all architectures have.
    fn sizes(&self) -> Sizes;

    /// Adds the shapes of all weights.
    fn shapes(&self, shapes: &mut Shapes);

    /// Computes what all layers share: angles and masks.
    fn shared(&self, pass: &Pass<'_>) -> Shared;

    /// Returns the embeddings of the tokens, `[rows * width, hidden_size]`.
    fn embed(&self, parameters: &Parameters, pass: &Pass<'_>) -> Tensor<2>;

    /// Runs layer `index`: `[places, hidden_size]` to the same. From the last layer's attention on, only the wanted places of the pass are left.
    fn layer(&self, parameters: &Parameters, pass: &mut Pass<'_>, shared: &Shared, index: usize, stream: Tensor<2>) -> Tensor<2>;

    /// Applies the last norm and the head: `[places, hidden_size]` to `[places, vocab_size]`.
    fn logits(&self, parameters: &Parameters, hidden: Tensor<2>) -> Tensor<2>;
}

/// Sizes that all architectures have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) vocab_size: usize,
    pub(super) hidden_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) max_position_embeddings: usize,
    pub(super) tie_word_embeddings: bool,
}

/// Names and shapes of an architecture's weights. Products saturate, since sizes may be hostile, and then fit no file.
#[derive(Debug, Default)]
pub(super) struct Shapes(pub(super) BTreeMap<String, Vec<usize>>);

impl Shapes {
    /// Returns the shapes of an architecture's weights, by name.
    pub(super) fn of(architecture: &dyn Architecture) -> BTreeMap<String, Vec<usize>> {
        let mut shapes = Self::default();
        architecture.shapes(&mut shapes);
        shapes.0
    }

    /// Adds a vector.
    pub(super) fn vector(&mut self, name: String, length: usize) {
        self.0.insert(name, vec![length]);
    }

    /// Adds a linear layer.
    pub(super) fn linear(&mut self, module: &str, out: usize, into: usize, bias: bool) {
        self.0.insert(format!("{module}.weight"), vec![out, into]);
        if bias {
            self.0.insert(format!("{module}.bias"), vec![out]);
        }
    }

    /// Adds the embedding, and the head unless it is tied to the embedding.
    pub(super) fn ends(&mut self, sizes: &Sizes, head_bias: bool) {
        self.linear(EMBEDDING, sizes.vocab_size, sizes.hidden_size, false);
        if !sizes.tie_word_embeddings {
            self.linear(HEAD, sizes.vocab_size, sizes.hidden_size, false);
        }
        if head_bias {
            self.vector(format!("{HEAD}.bias"), sizes.vocab_size);
        }
    }

    /// Adds the projections of attention, under their usual names.
    pub(super) fn attention(&mut self, layer: &str, heads: &Heads, hidden: usize, [inner, outer]: [bool; 2]) {
        let (queries, keys) = (heads.queries(), heads.keys());
        self.linear(&format!("{layer}.self_attn.q_proj"), queries, hidden, inner);
        self.linear(&format!("{layer}.self_attn.k_proj"), keys, hidden, inner);
        self.linear(&format!("{layer}.self_attn.v_proj"), keys, hidden, inner);
        self.linear(&format!("{layer}.self_attn.o_proj"), hidden, queries, outer);
    }

    /// Adds the three matrices of a gated feed-forward block, under their usual names.
    pub(super) fn gated(&mut self, layer: &str, middle: usize, hidden: usize, bias: bool) {
        self.linear(&format!("{layer}.mlp.gate_proj"), middle, hidden, bias);
        self.linear(&format!("{layer}.mlp.up_proj"), middle, hidden, bias);
        self.linear(&format!("{layer}.mlp.down_proj"), hidden, middle, bias);
    }
}

/// Heads of attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Heads {
    /// Number of query heads.
    pub(super) count: usize,
    /// Number of key and value heads.
    pub(super) groups: usize,
    /// Elements of a head.
    pub(super) size: usize,
}

impl Heads {
    /// Takes the keys of a configuration, with transformers' defaults.
    pub(super) fn new(hidden: usize, heads: usize, groups: Option<usize>, size: Option<usize>) -> Result<Self, String> {
        let groups = groups.unwrap_or(heads);
        if heads == 0 {
            return Err("`num_attention_heads` must be at least 1".into());
        }
        if groups == 0 || !heads.is_multiple_of(groups) {
            return Err(format!("`num_key_value_heads` ({groups}) must divide `num_attention_heads` ({heads})"));
        }
        if size.is_none() && !hidden.is_multiple_of(heads) {
            return Err(format!("`num_attention_heads` ({heads}) must divide `hidden_size` ({hidden})"));
        }
        let size = size.unwrap_or(hidden / heads);
        if size == 0 {
            return Err("`head_dim` must be at least 1".into());
        }
        Ok(Self { count: heads, groups, size })
    }

    /// Width of all queries.
    pub(super) fn queries(&self) -> usize {
        self.count.saturating_mul(self.size)
    }

    /// Width of all keys.
    pub(super) fn keys(&self) -> usize {
        self.groups.saturating_mul(self.size)
    }
}

/// The places that a layer's places attend to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LayerType {
    /// All places before.
    FullAttention,
    /// A window of places before.
    SlidingAttention,
}

/// Which layers have a window.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Windows {
    /// As `layer_types` lists them.
    Listed(Vec<LayerType>),
    /// All layers from this one on.
    From(usize),
    /// All layers but each `n`th.
    AllButEach(usize),
}

impl Windows {
    /// Returns whether a layer has a window.
    pub(super) fn slides(&self, layer: usize) -> bool {
        match self {
            Self::Listed(types) => types.get(layer) == Some(&LayerType::SlidingAttention),
            Self::From(first) => layer >= *first,
            Self::AllButEach(pattern) => !(layer + 1).is_multiple_of(*pattern),
        }
    }

    /// Takes `layer_types`, if they are given, and checks that there is one for each layer.
    pub(super) fn listed(types: Option<Vec<LayerType>>, layers: usize, otherwise: Self) -> Result<Self, String> {
        match types {
            None => Ok(otherwise),
            Some(types) if types.len() == layers => Ok(Self::Listed(types)),
            Some(types) => Err(format!("`layer_types` has {} entries for `num_hidden_layers` {layers}", types.len())),
        }
    }
}

/// Returns an error that names a size of 0, if there is one.
pub(super) fn positive(sizes: &[(&str, usize)]) -> Result<(), String> {
    match sizes.iter().find(|(_, value)| *value == 0) {
        Some((name, _)) => Err(format!("`{name}` must be at least 1")),
        None => Ok(()),
    }
}

/// Returns the width of the window, if a layer has one.
pub(super) fn window(sliding_window: Option<usize>, windows: &Windows) -> Result<Option<usize>, String> {
    match (sliding_window, windows) {
        (Some(0), _) => Err("`sliding_window` must be at least 1".into()),
        (Some(window), _) => Ok(Some(window)),
        (None, Windows::Listed(types)) if types.contains(&LayerType::SlidingAttention) => {
            Err("`layer_types` has `sliding_attention`, and `sliding_window` is not set".into())
        }
        (None, _) => Ok(None),
    }
}

/// Returns an error that names a number that is not above 0, if there is one.
pub(super) fn above_zero(figures: &[(&str, Option<f64>)]) -> Result<(), String> {
    match figures.iter().find(|(_, value)| value.is_some_and(|value| !(value.is_finite() && value > 0.0))) {
        Some((name, _)) => Err(format!("`{name}` must be above 0")),
        None => Ok(()),
    }
}
