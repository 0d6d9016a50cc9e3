//! Llama (Touvron et al. 2023): `RMSNorm`, rotary positions, grouped queries, a gated feed-forward block. Takes the keys of a
//! configuration; gives the architecture.

use burn::tensor::Tensor;
use serde::Deserialize;

use super::{Architecture, Heads, Shapes, Sizes, block::Block, positive};
use crate::models::{
    config::Keys,
    layers::{
        activation::Activation,
        attention::{ByKind, Pass, Shared},
        norm::rms_norm,
        rotary::Rope,
    },
    weights::parameters::Parameters,
};

/// The keys of `config.json`, with the defaults of transformers' `LlamaConfig`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    hidden_act: Activation,
    max_position_embeddings: usize,
    rms_norm_eps: f64,
    tie_word_embeddings: bool,
    attention_bias: bool,
    mlp_bias: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            vocab_size: 32_000,
            hidden_size: 4096,
            intermediate_size: 11_008,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: None,
            head_dim: None,
            hidden_act: Activation::Silu,
            max_position_embeddings: 2048,
            rms_norm_eps: 1e-6,
            tie_word_embeddings: false,
            attention_bias: false,
            mlp_bias: false,
        }
    }
}

#[derive(Debug)]
struct Llama {
    config: Config,
    heads: Heads,
    rope: Rope,
}

/// Builds the architecture from the keys of a configuration.
pub(crate) fn open(mut keys: Keys) -> Result<Box<dyn Architecture>, String> {
    let rope = keys.rope(Config::default().max_position_embeddings, None)?;
    let config: Config = keys.parse()?;
    positive(&[("hidden_size", config.hidden_size), ("num_hidden_layers", config.num_hidden_layers)])?;
    let heads = Heads::new(config.hidden_size, config.num_attention_heads, config.num_key_value_heads, config.head_dim)?;
    rope.fits(heads.size)?;
    Ok(Box::new(Llama { config, heads, rope }))
}

impl Architecture for Llama {
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
            shapes.gated(&layer, config.intermediate_size, config.hidden_size, config.mlp_bias);
        }
        shapes.vector("model.norm.weight".into(), config.hidden_size);
    }

    fn shared(&self, pass: &Pass<'_>) -> Shared {
        Shared { rotation: ByKind::all(pass.rotation(&self.rope, self.heads.size)), mask: ByKind::all(pass.mask(None)) }
    }

    fn embed(&self, parameters: &Parameters, pass: &Pass<'_>) -> Tensor<2> {
        parameters.embedding(pass.tokens())
    }

    fn layer(&self, parameters: &Parameters, pass: &mut Pass<'_>, shared: &Shared, index: usize, stream: Tensor<2>) -> Tensor<2> {
        let block = Block {
            heads: &self.heads,
            rms_norm_eps: self.config.rms_norm_eps,
            hidden_act: self.config.hidden_act,
            rotation: &shared.rotation.full,
            mask: &shared.mask.full,
        };
        block.apply(parameters, pass, index, stream)
    }

    fn logits(&self, parameters: &Parameters, hidden: Tensor<2>) -> Tensor<2> {
        parameters.head(rms_norm(hidden, parameters.vector("model.norm.weight"), self.config.rms_norm_eps))
    }
}
