//! Gemma 3, text (Gemma Team 2025): a Gemma 2 with norms on queries and keys, without a cap on scores, and with separate rotary positions in
//! layers with a sliding window. Takes the keys of a configuration; gives the architecture.

use burn::tensor::{DType, Tensor};
use serde::Deserialize;

use super::{Architecture, Heads, LayerType, Shapes, Sizes, Windows, above_zero, positive, window};
use crate::models::{
    config::Keys,
    layers::{
        activation::Activation,
        attention::{Attention, ByKind, Pass, Shared, softly_bounded},
        norm::{rms_norm, rms_norm_heads},
        rotary::Rope,
    },
    weights::parameters::Parameters,
};

/// The keys of `config.json`, with the defaults of transformers' `Gemma3TextConfig`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: usize,
    #[serde(skip)]
    hidden_activation: Activation,
    max_position_embeddings: usize,
    rms_norm_eps: f64,
    tie_word_embeddings: bool,
    attention_bias: bool,
    query_pre_attn_scalar: f64,
    sliding_window: Option<usize>,
    layer_types: Option<Vec<LayerType>>,
    /// Read and not used, as in transformers: this architecture's attention has no soft cap.
    attn_logit_softcapping: Option<f64>,
    final_logit_softcapping: Option<f64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            vocab_size: 262_208,
            hidden_size: 2304,
            intermediate_size: 9216,
            num_hidden_layers: 26,
            num_attention_heads: 8,
            num_key_value_heads: Some(4),
            head_dim: 256,
            hidden_activation: Activation::GeluTanh,
            max_position_embeddings: 131_072,
            rms_norm_eps: 1e-6,
            tie_word_embeddings: true,
            attention_bias: false,
            query_pre_attn_scalar: 256.0,
            sliding_window: Some(4096),
            layer_types: None,
            attn_logit_softcapping: None,
            final_logit_softcapping: None,
        }
    }
}

#[derive(Debug)]
struct Gemma3 {
    config: Config,
    heads: Heads,
    /// The rotary positions of layers with full attention, and of those with a sliding window.
    ropes: [Rope; 2],
    windows: Windows,
    window: Option<usize>,
}

/// Builds the architecture from the keys of a configuration.
pub(crate) fn open(mut keys: Keys) -> Result<Box<dyn Architecture>, String> {
    let ropes = keys.ropes_by_layer(Config::default().max_position_embeddings, [1_000_000.0, 10_000.0])?;
    let pattern = keys.count("sliding_window_pattern")?;
    keys.must_be_off("use_bidirectional_attention")?;
    let activation = keys.activation("hidden_activation", "hidden_act", false)?;
    let mut config: Config = keys.parse()?;
    config.hidden_activation = activation;
    positive(&[("hidden_size", config.hidden_size), ("num_hidden_layers", config.num_hidden_layers)])?;
    let heads = Heads::new(config.hidden_size, config.num_attention_heads, config.num_key_value_heads, Some(config.head_dim))?;
    ropes.iter().try_for_each(|rope| rope.fits(heads.size))?;
    above_zero(&[
        ("query_pre_attn_scalar", Some(config.query_pre_attn_scalar)),
        ("final_logit_softcapping", config.final_logit_softcapping),
    ])?;
    let by_pattern = Windows::AllButEach(pattern.unwrap_or(6));
    let windows = Windows::listed(config.layer_types.take(), config.num_hidden_layers, by_pattern.clone())?;
    let differs = |layer: usize| windows.slides(layer) != by_pattern.slides(layer);
    if pattern.is_some() && matches!(windows, Windows::Listed(_)) && (0..config.num_hidden_layers).any(differs) {
        return Err("`layer_types` and `sliding_window_pattern` contradict each other".into());
    }
    let window = window(config.sliding_window, &windows)?;
    Ok(Box::new(Gemma3 { config, heads, ropes, windows, window }))
}

impl Architecture for Gemma3 {
    fn sizes(&self) -> Sizes {
        let Config { vocab_size, hidden_size, num_hidden_layers, max_position_embeddings, tie_word_embeddings, .. } = self.config;
        Sizes { vocab_size, hidden_size, num_hidden_layers, max_position_embeddings, tie_word_embeddings }
    }

    fn shapes(&self, shapes: &mut Shapes) {
        let config = &self.config;
        shapes.ends(&self.sizes(), false);
        for index in 0..config.num_hidden_layers {
            let layer = format!("model.layers.{index}");
            shapes.vector(format!("{layer}.input_layernorm.weight"), config.hidden_size);
            shapes.attention(&layer, &self.heads, config.hidden_size, [config.attention_bias; 2]);
            shapes.vector(format!("{layer}.self_attn.q_norm.weight"), self.heads.size);
            shapes.vector(format!("{layer}.self_attn.k_norm.weight"), self.heads.size);
            shapes.vector(format!("{layer}.post_attention_layernorm.weight"), config.hidden_size);
            shapes.vector(format!("{layer}.pre_feedforward_layernorm.weight"), config.hidden_size);
            shapes.vector(format!("{layer}.post_feedforward_layernorm.weight"), config.hidden_size);
            shapes.gated(&layer, config.intermediate_size, config.hidden_size, false);
        }
        shapes.vector("model.norm.weight".into(), config.hidden_size);
    }

    fn shared(&self, pass: &Pass<'_>) -> Shared {
        let rotation = |rope: &Rope| pass.rotation(rope, self.heads.size);
        Shared {
            rotation: ByKind { full: rotation(&self.ropes[0]), sliding: Some(rotation(&self.ropes[1])) },
            mask: pass.masks(self.window),
        }
    }

    fn embed(&self, parameters: &Parameters, pass: &Pass<'_>) -> Tensor<2> {
        parameters.embedding(pass.tokens()) * (self.config.hidden_size as f64).sqrt()
    }

    fn layer(
        &self,
        parameters: &Parameters,
        pass: &mut Pass<'_>,
        shared: &Shared,
        index: usize,
        mut stream: Tensor<2>,
    ) -> Tensor<2> {
        let config = &self.config;
        let attention = Attention { scale: config.query_pre_attn_scalar.sqrt().recip(), softcap: None };
        let layer = format!("model.layers.{index}");
        let level = |input: Tensor<2>, name: &str| {
            rms_norm(input, parameters.vector(&format!("{layer}.{name}.weight")) + 1.0, config.rms_norm_eps)
        };
        let normed = parameters.shared_factor(level(stream.clone(), "input_layernorm"));
        let project = |name: &str| parameters.linear(&format!("{layer}.self_attn.{name}"), normed.clone());
        let level_heads = |heads: Tensor<4>, name: &str| {
            let weight = parameters.vector(&format!("{layer}.self_attn.{name}.weight")) + 1.0;
            rms_norm_heads(heads, weight, config.rms_norm_eps)
        };
        let slides = self.windows.slides(index);
        let rotation = shared.rotation.of(slides);
        let queries = rotation.turn(level_heads(pass.heads(project("q_proj"), self.heads.count), "q_norm"));
        let keys = rotation.turn(level_heads(pass.heads(project("k_proj"), self.heads.groups), "k_norm"));
        let values = pass.heads(project("v_proj"), self.heads.groups);
        let mixed = attention.mix([queries, keys, values], shared.mask.of(slides), pass, index);
        stream = pass.wanted(index, stream);
        let attended = parameters.linear(&format!("{layer}.self_attn.o_proj"), mixed);
        stream = stream + level(attended, "post_attention_layernorm");

        let normed = level(stream.clone(), "pre_feedforward_layernorm");
        let fed = parameters.gated(&layer, config.hidden_activation, normed);
        stream + level(fed, "post_feedforward_layernorm")
    }

    fn logits(&self, parameters: &Parameters, hidden: Tensor<2>) -> Tensor<2> {
        let normed = rms_norm(hidden, parameters.vector("model.norm.weight") + 1.0, self.config.rms_norm_eps);
        let logits = parameters.head(normed);
        match self.config.final_logit_softcapping {
            Some(bound) => softly_bounded(logits.cast(DType::F32), bound),
            None => logits,
        }
    }
}
