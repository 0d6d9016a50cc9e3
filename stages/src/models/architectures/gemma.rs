//! Gemma (Gemma Team 2024): a Llama whose norms multiply by `1 + weight` and whose embeddings are multiplied by the root of their width.
//! Takes the keys of a configuration; gives the architecture.
//!
//! The published files say `hidden_act: "gelu"` and mean the form with `tanh`.

use burn::tensor::Tensor;
use serde::Deserialize;

use super::{Architecture, Heads, Shapes, Sizes, positive};
use crate::models::{
    config::Keys,
    layers::{
        activation::Activation,
        attention::{Attention, ByKind, Pass, Shared},
        norm::rms_norm,
        rotary::Rope,
    },
    weights::parameters::Parameters,
};

/// The keys of `config.json`, with the defaults of transformers' `GemmaConfig`.
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
    hidden_act: Activation,
    max_position_embeddings: usize,
    rms_norm_eps: f64,
    tie_word_embeddings: bool,
    attention_bias: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            vocab_size: 256_000,
            hidden_size: 3072,
            intermediate_size: 24_576,
            num_hidden_layers: 28,
            num_attention_heads: 16,
            num_key_value_heads: Some(16),
            head_dim: 256,
            hidden_act: Activation::GeluTanh,
            max_position_embeddings: 8192,
            rms_norm_eps: 1e-6,
            tie_word_embeddings: true,
            attention_bias: false,
        }
    }
}

#[derive(Debug)]
struct Gemma {
    config: Config,
    heads: Heads,
    rope: Rope,
}

/// Builds the architecture from the keys of a configuration.
pub(crate) fn open(mut keys: Keys) -> Result<Box<dyn Architecture>, String> {
    let rope = keys.rope(Config::default().max_position_embeddings, None)?;
    keys.must_be_off("use_bidirectional_attention")?;
    let activation = keys.activation("hidden_act", "hidden_activation", true)?;
    let mut config: Config = keys.parse()?;
    config.hidden_act = activation;
    positive(&[("hidden_size", config.hidden_size), ("num_hidden_layers", config.num_hidden_layers)])?;
    let heads = Heads::new(config.hidden_size, config.num_attention_heads, config.num_key_value_heads, Some(config.head_dim))?;
    rope.fits(heads.size)?;
    Ok(Box::new(Gemma { config, heads, rope }))
}

impl Architecture for Gemma {
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
            shapes.gated(&layer, config.intermediate_size, config.hidden_size, false);
        }
        shapes.vector("model.norm.weight".into(), config.hidden_size);
    }

    fn shared(&self, pass: &Pass<'_>) -> Shared {
        Shared { rotation: ByKind::all(pass.rotation(&self.rope, self.heads.size)), mask: ByKind::all(pass.mask(None)) }
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
        let epsilon = self.config.rms_norm_eps;
        let attention = Attention::usual(self.heads.size);
        let rotation = &shared.rotation.full;
        let layer = format!("model.layers.{index}");
        let normed = rms_norm(stream.clone(), parameters.vector(&format!("{layer}.input_layernorm.weight")) + 1.0, epsilon);
        let normed = parameters.shared_factor(normed);
        let project = |name: &str| parameters.raw_linear(&format!("{layer}.self_attn.{name}"), normed.clone());
        let queries = rotation.turn(pass.heads(project("q_proj"), self.heads.count));
        let keys = rotation.turn(pass.heads(project("k_proj"), self.heads.groups));
        let values = pass.heads(project("v_proj"), self.heads.groups);
        let mixed = attention.mix([queries, keys, values], &shared.mask.full, pass, index);
        stream = pass.wanted(index, stream);
        stream = stream + parameters.linear(&format!("{layer}.self_attn.o_proj"), mixed);

        let normed =
            rms_norm(stream.clone(), parameters.vector(&format!("{layer}.post_attention_layernorm.weight")) + 1.0, epsilon);
        stream + parameters.gated(&layer, self.config.hidden_act, normed)
    }

    fn logits(&self, parameters: &Parameters, hidden: Tensor<2>) -> Tensor<2> {
        parameters.head(rms_norm(hidden, parameters.vector("model.norm.weight") + 1.0, self.config.rms_norm_eps))
    }
}
