//! Qwen 3 (Yang et al. 2025): a Llama with norms on queries and keys, and optional sliding windows in its last layers. Takes the keys of a
//! configuration; gives the architecture.

use burn::tensor::Tensor;
use serde::Deserialize;

use super::{Architecture, Heads, LayerType, Shapes, Sizes, Windows, positive, window};
use crate::models::{
    config::Keys,
    layers::{
        activation::Activation,
        attention::{Attention, ByKind, Pass, Shared},
        norm::{rms_norm, rms_norm_heads},
        rotary::Rope,
    },
    weights::parameters::Parameters,
};

/// The keys of `config.json`, with the defaults of transformers' `Qwen3Config`.
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
    hidden_act: Activation,
    max_position_embeddings: usize,
    rms_norm_eps: f64,
    tie_word_embeddings: bool,
    attention_bias: bool,
    use_sliding_window: bool,
    sliding_window: Option<usize>,
    max_window_layers: usize,
    layer_types: Option<Vec<LayerType>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            vocab_size: 151_936,
            hidden_size: 4096,
            intermediate_size: 22_016,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: Some(32),
            head_dim: 128,
            hidden_act: Activation::Silu,
            max_position_embeddings: 32_768,
            rms_norm_eps: 1e-6,
            tie_word_embeddings: false,
            attention_bias: false,
            use_sliding_window: false,
            sliding_window: Some(4096),
            max_window_layers: 28,
            layer_types: None,
        }
    }
}

#[derive(Debug)]
struct Qwen3 {
    config: Config,
    heads: Heads,
    rope: Rope,
    windows: Windows,
    window: Option<usize>,
}

/// Builds the architecture from the keys of a configuration.
pub(crate) fn open(mut keys: Keys) -> Result<Box<dyn Architecture>, String> {
    let rope = keys.rope(Config::default().max_position_embeddings, None)?;
    let mut config: Config = keys.parse()?;
    positive(&[("hidden_size", config.hidden_size), ("num_hidden_layers", config.num_hidden_layers)])?;
    let heads = Heads::new(config.hidden_size, config.num_attention_heads, config.num_key_value_heads, Some(config.head_dim))?;
    rope.fits(heads.size)?;
    let sliding_window = config.sliding_window.filter(|_| config.use_sliding_window);
    let windows = Windows::From(if sliding_window.is_some() { config.max_window_layers } else { usize::MAX });
    let windows = Windows::listed(config.layer_types.take(), config.num_hidden_layers, windows)?;
    let window = window(sliding_window, &windows)?;
    Ok(Box::new(Qwen3 { config, heads, rope, windows, window }))
}

impl Architecture for Qwen3 {
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
            shapes.gated(&layer, config.intermediate_size, config.hidden_size, false);
        }
        shapes.vector("model.norm.weight".into(), config.hidden_size);
    }

    fn shared(&self, pass: &Pass<'_>) -> Shared {
        Shared { rotation: ByKind::all(pass.rotation(&self.rope, self.heads.size)), mask: pass.masks(self.window) }
    }

    fn embed(&self, parameters: &Parameters, pass: &Pass<'_>) -> Tensor<2> {
        parameters.embedding(pass.tokens())
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
        let normed = rms_norm(stream.clone(), parameters.vector(&format!("{layer}.input_layernorm.weight")), epsilon);
        let normed = parameters.shared_factor(normed);
        let project = |name: &str| parameters.linear(&format!("{layer}.self_attn.{name}"), normed.clone());
        let level = |heads: Tensor<4>, name: &str| {
            rms_norm_heads(heads, parameters.vector(&format!("{layer}.self_attn.{name}.weight")), epsilon)
        };
        let queries = rotation.turn(level(pass.heads(project("q_proj"), self.heads.count), "q_norm"));
        let keys = rotation.turn(level(pass.heads(project("k_proj"), self.heads.groups), "k_norm"));
        let values = pass.heads(project("v_proj"), self.heads.groups);
        let mixed = attention.mix([queries, keys, values], shared.mask.of(self.windows.slides(index)), pass, index);
        stream = pass.wanted(index, stream);
        stream = stream + parameters.linear(&format!("{layer}.self_attn.o_proj"), mixed);

        let normed = rms_norm(stream.clone(), parameters.vector(&format!("{layer}.post_attention_layernorm.weight")), epsilon);
        stream + parameters.gated(&layer, self.config.hidden_act, normed)
    }

    fn logits(&self, parameters: &Parameters, hidden: Tensor<2>) -> Tensor<2> {
        parameters.head(rms_norm(hidden, parameters.vector("model.norm.weight"), self.config.rms_norm_eps))
    }
}
