//! Gemma 2 (Gemma Team 2024): a Gemma with norms before and after each block, soft caps on scores and logits, and a sliding window in every
//! other layer. Takes the keys of a configuration; gives the architecture.

use burn::tensor::{DType, Tensor};
use serde::Deserialize;

use super::{Architecture, Heads, LayerType, Shapes, Sizes, Windows, above_zero, positive, window};
use crate::models::{
    config::Keys,
    layers::{
        activation::Activation,
        attention::{Attention, ByKind, Pass, Shared, softly_bounded},
        norm::rms_norm,
        rotary::Rope,
    },
    weights::parameters::Parameters,
};

/// The keys of `config.json`, with the defaults of transformers' `Gemma2Config`.
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
    attn_logit_softcapping: Option<f64>,
    final_logit_softcapping: Option<f64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            vocab_size: 256_000,
            hidden_size: 2304,
            intermediate_size: 9216,
            num_hidden_layers: 26,
            num_attention_heads: 8,
            num_key_value_heads: Some(4),
            head_dim: 256,
            hidden_activation: Activation::GeluTanh,
            max_position_embeddings: 8192,
            rms_norm_eps: 1e-6,
            tie_word_embeddings: true,
            attention_bias: false,
            query_pre_attn_scalar: 256.0,
            sliding_window: Some(4096),
            layer_types: None,
            attn_logit_softcapping: Some(50.0),
            final_logit_softcapping: Some(30.0),
        }
    }
}

#[derive(Debug)]
struct Gemma2 {
    config: Config,
    heads: Heads,
    rope: Rope,
    windows: Windows,
    window: Option<usize>,
}

/// Builds the architecture from the keys of a configuration.
pub(crate) fn open(mut keys: Keys) -> Result<Box<dyn Architecture>, String> {
    let rope = keys.rope(Config::default().max_position_embeddings, None)?;
    keys.must_be_off("use_bidirectional_attention")?;
    let activation = keys.activation("hidden_activation", "hidden_act", false)?;
    let mut config: Config = keys.parse()?;
    config.hidden_activation = activation;
    positive(&[("hidden_size", config.hidden_size), ("num_hidden_layers", config.num_hidden_layers)])?;
    let heads = Heads::new(config.hidden_size, config.num_attention_heads, config.num_key_value_heads, Some(config.head_dim))?;
    rope.fits(heads.size)?;
    above_zero(&[
        ("query_pre_attn_scalar", Some(config.query_pre_attn_scalar)),
        ("attn_logit_softcapping", config.attn_logit_softcapping),
    ])?;
    above_zero(&[("final_logit_softcapping", config.final_logit_softcapping)])?;
    let windows = Windows::listed(config.layer_types.take(), config.num_hidden_layers, Windows::AllButEach(2))?;
    let window = window(config.sliding_window, &windows)?;
    Ok(Box::new(Gemma2 { config, heads, rope, windows, window }))
}

impl Architecture for Gemma2 {
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
            shapes.vector(format!("{layer}.post_attention_layernorm.weight"), config.hidden_size);
            shapes.vector(format!("{layer}.pre_feedforward_layernorm.weight"), config.hidden_size);
            shapes.vector(format!("{layer}.post_feedforward_layernorm.weight"), config.hidden_size);
            shapes.gated(&layer, config.intermediate_size, config.hidden_size, false);
        }
        shapes.vector("model.norm.weight".into(), config.hidden_size);
    }

    fn shared(&self, pass: &Pass<'_>) -> Shared {
        Shared { rotation: ByKind::all(pass.rotation(&self.rope, self.heads.size)), mask: pass.masks(self.window) }
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
        let attention = Attention { scale: config.query_pre_attn_scalar.sqrt().recip(), softcap: config.attn_logit_softcapping };
        let rotation = &shared.rotation.full;
        let layer = format!("model.layers.{index}");
        let level = |input: Tensor<2>, name: &str| {
            rms_norm(input, parameters.vector(&format!("{layer}.{name}.weight")) + 1.0, config.rms_norm_eps)
        };
        let normed = parameters.shared_factor(level(stream.clone(), "input_layernorm"));
        let project = |name: &str| parameters.raw_linear(&format!("{layer}.self_attn.{name}"), normed.clone());
        let queries = rotation.turn(pass.heads(project("q_proj"), self.heads.count));
        let keys = rotation.turn(pass.heads(project("k_proj"), self.heads.groups));
        let values = pass.heads(project("v_proj"), self.heads.groups);
        let mixed = attention.mix([queries, keys, values], shared.mask.of(self.windows.slides(index)), pass, index);
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
