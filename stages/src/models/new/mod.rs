//! A decoder from scratch. Takes sizes, a tokenizer and a seed; gives an untrained Llama.
//!
//! This file has the sizes and draws the weights. `induction` has the initial weights of `attention: reading`, and `random` draws models of any
//! shapes for measurements.

mod induction;
mod random;

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    decoder::Model,
    weights::weight::{EMBEDDING, Weight, weight_of},
};
use crate::{
    defaults::is_default,
    random::Random,
    tokenizer::{Pieces, Tokenizer},
};

/// What a decoder is built like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NewArchitecture {
    /// `RMSNorm`, rotary positions, grouped queries, `SwiGLU`.
    Llama,
}

/// What the first weights of attention do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FirstAttention {
    /// Random numbers around 0.
    #[default]
    Random,
    /// They look for earlier places of the token at hand, and copy what stands there.
    Reading,
}

/// Sizes of a decoder that is made from scratch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "LlamaSettings")]
pub struct NewModel {
    /// The only supported architecture.
    pub architecture: NewArchitecture,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the feed-forward block.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Number of query heads; divides `hidden_size` into even parts.
    pub num_attention_heads: usize,
    /// Number of key and value heads; divides `num_attention_heads`.
    pub num_key_value_heads: usize,
    /// Most tokens that the tokenizer may learn, special ones included.
    pub vocab_size: usize,
    /// What one of its tokens may be at most: `elements`, whole routes, which are read fastest where they are the same in every prompt;
    /// `words`, which new routes are made of too.
    #[serde(skip_serializing_if = "is_default")]
    pub pieces: Pieces,
    /// What the first weights of attention do: `random`, nothing; `reading`, look for earlier places of the token at hand and copy what
    /// stands there, so that a decoder learns to follow routes that it has never seen.
    #[serde(skip_serializing_if = "is_default")]
    pub attention: FirstAttention,
    /// Base of the rotary embedding's wavelengths.
    pub rope_theta: f64,
    /// Most tokens of a row.
    pub max_position_embeddings: usize,
    /// Standard deviation of the first weights.
    pub initializer_range: f64,
}

impl Default for NewModel {
    fn default() -> Self {
        Self {
            architecture: NewArchitecture::Llama,
            hidden_size: 128,
            intermediate_size: 344,
            num_hidden_layers: 3,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            vocab_size: 1024,
            pieces: Pieces::Elements,
            attention: FirstAttention::Random,
            rope_theta: 10_000.0,
            max_position_embeddings: 256,
            initializer_range: 0.02,
        }
    }
}

/// Returns the configuration of a decoder from scratch, as far as shapes depend on it. Its tokenizer may learn fewer tokens.
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

impl NewModel {
    /// Draws the initial weights from `seed`. The same seed gives the same weights, whatever else the process does.
    ///
    /// # Errors
    /// Sizes do not fit together. The error names the first wrong field, and what it must be.
    pub fn draw(&self, tokenizer: &Tokenizer, seed: u64) -> Result<Model, String> {
        self.check()?;
        let mut random = Random::new(seed, "init");
        let deviation = self.initializer_range;
        // Each layer adds to the residual stream twice, so smaller initial outputs keep its scale constant over depth (GPT-2).
        let residual = deviation / (2.0 * self.num_hidden_layers as f64).sqrt();
        let (hidden, middle) = (self.hidden_size, self.intermediate_size);
        let keys = self.num_key_value_heads * (hidden / self.num_attention_heads);
        let mut weights = BTreeMap::new();
        let mut matrix = |module: &str, out: usize, into: usize, deviation: f64| {
            let values = (0..out * into).map(|_| (random.normal() * deviation) as f32).collect();
            weights.insert(weight_of(module), Weight::dense(&[out, into], values, &Device::flex()));
        };
        let embedding = match self.attention {
            FirstAttention::Random => deviation,
            FirstAttention::Reading => induction::EMBEDDING_SCALE * deviation,
        };
        matrix(EMBEDDING, tokenizer.size(), hidden, embedding);
        for index in 0..self.num_hidden_layers {
            let mut part =
                |name: &str, out, into, deviation| matrix(&format!("model.layers.{index}.{name}"), out, into, deviation);
            part("self_attn.q_proj", hidden, hidden, deviation);
            part("self_attn.k_proj", keys, hidden, deviation);
            part("self_attn.v_proj", keys, hidden, deviation);
            part("self_attn.o_proj", hidden, hidden, residual);
            part("mlp.gate_proj", middle, hidden, deviation);
            part("mlp.up_proj", middle, hidden, deviation);
            part("mlp.down_proj", hidden, middle, residual);
        }
        let mut ones = |name: String| weights.insert(name, Weight::Vector(Tensor::ones([hidden], &Device::flex())));
        for index in 0..self.num_hidden_layers {
            ones(format!("model.layers.{index}.input_layernorm.weight"));
            ones(format!("model.layers.{index}.post_attention_layernorm.weight"));
        }
        ones("model.norm.weight".into());
        if self.attention == FirstAttention::Reading {
            weights.extend(induction::weights(self, &mut random));
        }
        Model::new(self.config(tokenizer), weights, Device::flex())
    }

    /// Returns the content of `config.json`, in the spelling that all versions of transformers read.
    fn config(&self, tokenizer: &Tokenizer) -> Map<String, Value> {
        let mut config = config_of(&Self { vocab_size: tokenizer.size(), ..self.clone() });
        let more = json!({
            "architectures": ["LlamaForCausalLM"],
            "bos_token_id": null,
            "eos_token_id": tokenizer.end(),
            "head_dim": self.hidden_size / self.num_attention_heads,
            "hidden_act": "silu",
            "initializer_range": self.initializer_range,
            "mlp_bias": false,
            "pad_token_id": tokenizer.padding(),
            "rms_norm_eps": 1e-5,
            "rope_theta": self.rope_theta,
            "torch_dtype": "float32",
        });
        config.extend(more.as_object().cloned().unwrap_or_default());
        config
    }

    /// Checks the sizes against each other.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub(crate) fn check(&self) -> Result<(), String> {
        let positive = [
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("max_position_embeddings", self.max_position_embeddings),
        ];
        super::architectures::positive(&positive)?;
        if !self.hidden_size.is_multiple_of(2 * self.num_attention_heads) {
            return Err(format!(
                "`num_attention_heads` ({}) must divide `hidden_size` ({}) into even parts",
                self.num_attention_heads, self.hidden_size
            ));
        }
        if !self.num_attention_heads.is_multiple_of(self.num_key_value_heads) {
            return Err(format!(
                "`num_key_value_heads` ({}) must divide `num_attention_heads` ({})",
                self.num_key_value_heads, self.num_attention_heads
            ));
        }
        let above = [("rope_theta", self.rope_theta), ("initializer_range", self.initializer_range)];
        match above.iter().find(|(_, value)| !(value.is_finite() && *value > 0.0)) {
            Some((name, _)) => Err(format!("`{name}` must be above 0")),
            None if self.attention == FirstAttention::Reading => induction::check(self),
            None => Ok(()),
        }
    }
}
