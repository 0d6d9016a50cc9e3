//! Phi 1, 1.5 and 2 (Li et al. 2023): one layer norm before attention and feed-forward block in parallel, biases everywhere, rotary positions
//! on a part of each head. Takes the keys of a configuration; gives the architecture.

use burn::tensor::Tensor;
use serde::Deserialize;

use super::{Architecture, Heads, Shapes, Sizes, positive};
use crate::models::{
    config::Keys,
    layers::{
        activation::Activation,
        attention::{Attention, ByKind, Pass, Shared},
        norm::{layer_norm, layer_norm_heads},
        rotary::Rope,
    },
    weights::parameters::Parameters,
};

/// The keys of `config.json`, with the defaults of transformers' `PhiConfig`.
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
    layer_norm_eps: f64,
    tie_word_embeddings: bool,
    qk_layernorm: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            vocab_size: 51_200,
            hidden_size: 2048,
            intermediate_size: 8192,
            num_hidden_layers: 24,
            num_attention_heads: 32,
            num_key_value_heads: None,
            head_dim: None,
            hidden_act: Activation::GeluTanh,
            max_position_embeddings: 2048,
            layer_norm_eps: 1e-5,
            tie_word_embeddings: false,
            qk_layernorm: false,
        }
    }
}

#[derive(Debug)]
struct Phi {
    config: Config,
    heads: Heads,
    rope: Rope,
}

/// Builds the architecture from the keys of a configuration.
pub(crate) fn open(mut keys: Keys) -> Result<Box<dyn Architecture>, String> {
    let rope = keys.rope(Config::default().max_position_embeddings, Some(0.5))?;
    let config: Config = keys.parse()?;
    positive(&[("hidden_size", config.hidden_size), ("num_hidden_layers", config.num_hidden_layers)])?;
    let heads = Heads::new(config.hidden_size, config.num_attention_heads, config.num_key_value_heads, config.head_dim)?;
    rope.fits(heads.size)?;
    Ok(Box::new(Phi { config, heads, rope }))
}

impl Architecture for Phi {
    fn sizes(&self) -> Sizes {
        let Config { vocab_size, hidden_size, num_hidden_layers, max_position_embeddings, tie_word_embeddings, .. } = self.config;
        Sizes { vocab_size, hidden_size, num_hidden_layers, max_position_embeddings, tie_word_embeddings }
    }

    fn shapes(&self, shapes: &mut Shapes) {
        let config = &self.config;
        shapes.ends(&self.sizes(), true);
        let norm = |shapes: &mut Shapes, name: &str, size: usize| {
            shapes.vector(format!("{name}.weight"), size);
            shapes.vector(format!("{name}.bias"), size);
        };
        for index in 0..config.num_hidden_layers {
            let layer = format!("model.layers.{index}");
            norm(shapes, &format!("{layer}.input_layernorm"), config.hidden_size);
            for (name, width) in [("q_proj", self.heads.queries()), ("k_proj", self.heads.keys()), ("v_proj", self.heads.keys())]
            {
                shapes.linear(&format!("{layer}.self_attn.{name}"), width, config.hidden_size, true);
            }
            shapes.linear(&format!("{layer}.self_attn.dense"), config.hidden_size, self.heads.queries(), true);
            if config.qk_layernorm {
                norm(shapes, &format!("{layer}.self_attn.q_layernorm"), self.heads.size);
                norm(shapes, &format!("{layer}.self_attn.k_layernorm"), self.heads.size);
            }
            shapes.linear(&format!("{layer}.mlp.fc1"), config.intermediate_size, config.hidden_size, true);
            shapes.linear(&format!("{layer}.mlp.fc2"), config.hidden_size, config.intermediate_size, true);
        }
        norm(shapes, "model.final_layernorm", config.hidden_size);
    }

    fn shared(&self, pass: &Pass<'_>) -> Shared {
        Shared { rotation: ByKind::all(pass.rotation(&self.rope, self.heads.size)), mask: ByKind::all(pass.mask(None)) }
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
        let attention = Attention::usual(self.heads.size);
        let rotation = &shared.rotation.full;
        let layer = format!("model.layers.{index}");
        let normed = self.level(parameters, &format!("{layer}.input_layernorm"), stream.clone());
        let normed = parameters.shared_factor(normed);
        let project = |name: &str| parameters.linear(&format!("{layer}.self_attn.{name}"), normed.clone());
        let mut queries = pass.heads(project("q_proj"), self.heads.count);
        let mut keys = pass.heads(project("k_proj"), self.heads.groups);
        if self.config.qk_layernorm {
            queries = self.level_heads(parameters, &format!("{layer}.self_attn.q_layernorm"), queries);
            keys = self.level_heads(parameters, &format!("{layer}.self_attn.k_layernorm"), keys);
        }
        let values = pass.heads(project("v_proj"), self.heads.groups);
        let mixed = attention.mix([rotation.turn(queries), rotation.turn(keys), values], &shared.mask.full, pass, index);
        stream = pass.wanted(index, stream);
        let normed = pass.wanted(index, normed);
        let attended = parameters.linear(&format!("{layer}.self_attn.dense"), mixed);

        let middle = parameters.rounded(self.config.hidden_act.apply(parameters.linear(&format!("{layer}.mlp.fc1"), normed)));
        stream = attended + parameters.linear(&format!("{layer}.mlp.fc2"), middle) + stream;
        stream
    }

    fn logits(&self, parameters: &Parameters, hidden: Tensor<2>) -> Tensor<2> {
        parameters.head(self.level(parameters, "model.final_layernorm", hidden))
    }
}

impl Phi {
    fn level(&self, parameters: &Parameters, norm: &str, input: Tensor<2>) -> Tensor<2> {
        let [weight, bias] = ["weight", "bias"].map(|part| parameters.vector(&format!("{norm}.{part}")));
        layer_norm(input, weight, bias, self.config.layer_norm_eps)
    }

    fn level_heads(&self, parameters: &Parameters, norm: &str, heads: Tensor<4>) -> Tensor<4> {
        let [weight, bias] = ["weight", "bias"].map(|part| parameters.vector(&format!("{norm}.{part}")));
        layer_norm_heads(heads, weight, bias, self.config.layer_norm_eps)
    }
}
