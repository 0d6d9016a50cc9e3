//! A Llama-shaped decoder (`RMSNorm`, rotary positions, grouped queries, `SwiGLU`, tied embeddings): token ids in, logits out.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::batch::Batch;
use crate::random::Random;
use crate::tokenizer::Tokenizer;

/// Name of the embedding in a weights file.
pub(super) const EMBEDDING: &str = "model.embed_tokens.weight";
/// Name of the last norm in a weights file.
pub(super) const NORM: &str = "model.norm.weight";

/// What a decoder is built like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// `RMSNorm`, rotary positions, grouped queries, `SwiGLU`.
    Llama,
}

/// Sizes of a decoder that is made from scratch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LlamaSettings {
    /// The only one there is.
    pub architecture: Architecture,
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
    /// Base of the rotary embedding's wavelengths.
    pub rope_theta: f64,
    /// Most tokens of a row.
    pub max_position_embeddings: usize,
    /// Standard deviation of the first weights.
    pub initializer_range: f64,
}

impl Default for LlamaSettings {
    fn default() -> Self {
        Self {
            architecture: Architecture::Llama,
            hidden_size: 128,
            intermediate_size: 344,
            num_hidden_layers: 3,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            vocab_size: 1024,
            rope_theta: 10_000.0,
            max_position_embeddings: 256,
            initializer_range: 0.02,
        }
    }
}

/// What `config.json` says, in Hugging Face's names; fields that are not listed are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are Hugging Face's and documented there")]
pub struct LlamaConfig {
    pub architectures: Vec<String>,
    pub model_type: String,
    pub hidden_act: String,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    pub head_dim: usize,
    pub vocab_size: usize,
    pub rope_theta: f64,
    pub max_position_embeddings: usize,
    pub initializer_range: f64,
    pub rms_norm_eps: f64,
    pub tie_word_embeddings: bool,
    pub attention_bias: bool,
    pub mlp_bias: bool,
    pub bos_token_id: Option<u32>,
    pub eos_token_id: Option<u32>,
    pub pad_token_id: Option<u32>,
    pub torch_dtype: String,
}

impl LlamaConfig {
    /// Fills the configuration from the sizes wanted and the tokenizer's own size and tokens.
    ///
    /// # Errors
    /// Sizes that do not fit together.
    pub fn new(settings: &LlamaSettings, tokenizer: &Tokenizer) -> Result<Self, String> {
        let heads = settings.num_attention_heads.max(1);
        let config = Self {
            architectures: vec!["LlamaForCausalLM".into()],
            model_type: "llama".into(),
            hidden_act: "silu".into(),
            hidden_size: settings.hidden_size,
            intermediate_size: settings.intermediate_size,
            num_hidden_layers: settings.num_hidden_layers,
            num_attention_heads: settings.num_attention_heads,
            num_key_value_heads: settings.num_key_value_heads,
            head_dim: settings.hidden_size / heads,
            vocab_size: tokenizer.size(),
            rope_theta: settings.rope_theta,
            max_position_embeddings: settings.max_position_embeddings,
            initializer_range: settings.initializer_range,
            rms_norm_eps: 1e-5,
            tie_word_embeddings: true,
            attention_bias: false,
            mlp_bias: false,
            bos_token_id: None,
            eos_token_id: tokenizer.end(),
            pad_token_id: tokenizer.padding(),
            torch_dtype: "float32".into(),
        };
        config.check()?;
        Ok(config)
    }

    /// Refuses sizes that do not fit together and forms that this decoder does not have.
    ///
    /// # Errors
    /// The first field that is wrong, and what it must be.
    pub fn check(&self) -> Result<(), String> {
        let positive = [
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("vocab_size", self.vocab_size),
            ("max_position_embeddings", self.max_position_embeddings),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(format!("`{name}` must be at least 1"));
        }
        if self.head_dim * self.num_attention_heads != self.hidden_size || !self.head_dim.is_multiple_of(2) {
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
        if !(self.rope_theta.is_finite() && self.rope_theta > 0.0) {
            return Err("`rope_theta` must be above 0".into());
        }
        if !(self.initializer_range.is_finite() && self.initializer_range > 0.0) {
            return Err("`initializer_range` must be above 0".into());
        }
        if self.model_type != "llama" || self.hidden_act != "silu" || !self.tie_word_embeddings {
            return Err("only `llama` models with `silu` and tied embeddings are read".into());
        }
        if self.attention_bias || self.mlp_bias {
            return Err("models with biases are not read".into());
        }
        Ok(())
    }
}

/// One block; matrices are `[out, in]`, as Hugging Face stores them.
#[derive(Module, Debug)]
pub(super) struct Layer {
    pub(super) input_layernorm: Param<Tensor<1>>,
    pub(super) q_proj: Param<Tensor<2>>,
    pub(super) k_proj: Param<Tensor<2>>,
    pub(super) v_proj: Param<Tensor<2>>,
    pub(super) o_proj: Param<Tensor<2>>,
    pub(super) post_attention_layernorm: Param<Tensor<1>>,
    pub(super) gate_proj: Param<Tensor<2>>,
    pub(super) up_proj: Param<Tensor<2>>,
    pub(super) down_proj: Param<Tensor<2>>,
}

/// The decoder.
#[derive(Module, Debug)]
pub struct Llama {
    embed_tokens: Param<Tensor<2>>,
    layers: Vec<Layer>,
    norm: Param<Tensor<1>>,
    #[module(skip)]
    config: LlamaConfig,
}

/// Returns the processor as burn's device, without gradients.
pub(super) fn device() -> Device {
    Device::flex()
}

/// Names a layer's tensor in a weights file.
pub(super) fn layer_name(index: usize, part: &str) -> String {
    format!("model.layers.{index}.{part}.weight")
}

impl Llama {
    /// Draws first weights from `seed`; the same seed gives the same weights, whatever else the process does.
    #[must_use]
    pub fn new(config: LlamaConfig, seed: u64) -> Self {
        let mut random = Random::new(seed, "init");
        let deviation = config.initializer_range;
        // Blocks add to the residual stream twice a layer: smaller first outputs keep its size level with depth (GPT-2).
        let residual = deviation / (2.0 * config.num_hidden_layers as f64).sqrt();
        let mut matrix = |out: usize, into: usize, deviation: f64| {
            let values: Vec<f32> = (0..out * into).map(|_| (random.normal() * deviation) as f32).collect();
            Param::from_tensor(Tensor::<2>::from_data(TensorData::new(values, [out, into]), &device()))
        };
        let ones = || Param::from_tensor(Tensor::<1>::ones([config.hidden_size], &device()));
        let (hidden, middle) = (config.hidden_size, config.intermediate_size);
        let keys = config.num_key_value_heads * config.head_dim;
        let embed_tokens = matrix(config.vocab_size, hidden, deviation);
        let layers = (0..config.num_hidden_layers)
            .map(|_| Layer {
                input_layernorm: ones(),
                q_proj: matrix(hidden, hidden, deviation),
                k_proj: matrix(keys, hidden, deviation),
                v_proj: matrix(keys, hidden, deviation),
                o_proj: matrix(hidden, hidden, residual),
                post_attention_layernorm: ones(),
                gate_proj: matrix(middle, hidden, deviation),
                up_proj: matrix(middle, hidden, deviation),
                down_proj: matrix(hidden, middle, residual),
            })
            .collect();
        Self { embed_tokens, layers, norm: ones(), config }
    }

    pub(super) fn from_parts(
        config: LlamaConfig,
        embed_tokens: Param<Tensor<2>>,
        layers: Vec<Layer>,
        norm: Param<Tensor<1>>,
    ) -> Self {
        Self { embed_tokens, layers, norm, config }
    }

    /// Returns the sizes.
    #[must_use]
    pub fn config(&self) -> &LlamaConfig {
        &self.config
    }

    /// Hands out every weight under its Hugging Face name.
    pub(super) fn for_each(&self, take: &mut dyn FnMut(String, TensorData)) {
        struct Names<'a>(Vec<String>, &'a mut dyn FnMut(String, TensorData));
        impl ModuleVisitor for Names<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let name = self.0.pop().expect("as many names as weights");
                (self.1)(name, param.val().into_data());
            }
        }
        let mut names = vec![EMBEDDING.to_owned()];
        for index in 0..self.layers.len() {
            names.extend(LAYER_PARTS.iter().map(|part| layer_name(index, part)));
        }
        names.push(NORM.to_owned());
        names.reverse();
        self.visit(&mut Names(names, take));
    }

    /// Computes the logits of every target's place, `[targets, vocab_size]`, on the device the weights are on.
    #[must_use]
    pub fn logits(&self, batch: &Batch) -> Tensor<2> {
        let hidden = self.hidden(batch);
        let places: Vec<i32> = batch.targets.iter().map(|target| target.place as i32).collect();
        let places = Tensor::<1, Int>::from_data(TensorData::new(places, [batch.targets.len()]), &hidden.device());
        rms_norm(hidden.select(0, places), &self.norm, self.config.rms_norm_eps).matmul(self.embed_tokens.val().transpose())
    }

    /// Runs the blocks: `[rows * width, hidden_size]`, before the last norm.
    fn hidden(&self, batch: &Batch) -> Tensor<2> {
        let device = self.embed_tokens.val().device();
        let places = batch.rows * batch.width;
        let ids = Tensor::<1, Int>::from_data(TensorData::new(batch.ids.clone(), [places]), &device);
        let geometry = Geometry::new(batch, &self.config, &device);
        let mut stream = self.embed_tokens.val().select(0, ids);
        for layer in &self.layers {
            stream = stream.clone() + self.attention(layer, stream, &geometry);
            stream = stream.clone() + self.feed_forward(layer, stream);
        }
        stream
    }

    fn attention(&self, layer: &Layer, stream: Tensor<2>, geometry: &Geometry) -> Tensor<2> {
        let config = &self.config;
        let (rows, width, head) = (geometry.rows, geometry.width, config.head_dim);
        let (heads, groups) = (config.num_attention_heads, config.num_key_value_heads);
        let normed = rms_norm(stream, &layer.input_layernorm, config.rms_norm_eps);
        let split = |tensor: Tensor<2>, heads: usize| tensor.reshape([rows, width, heads, head]);
        let queries = geometry.rotate(split(linear(normed.clone(), &layer.q_proj), heads));
        let keys = geometry.rotate(split(linear(normed.clone(), &layer.k_proj), groups)).swap_dims(1, 2);
        let values = split(linear(normed, &layer.v_proj), groups).swap_dims(1, 2);
        // The query heads that share a key head are folded into its rows, so keys and values are never repeated.
        let queries = queries.swap_dims(1, 2).reshape([rows, groups, heads / groups * width, head]);
        let scores = queries.matmul(keys.swap_dims(2, 3)).mul_scalar(1.0 / (head as f64).sqrt());
        let scores = scores.reshape([rows, heads, width, width]) + geometry.mask.clone();
        let shares = activation::softmax(scores, 3).reshape([rows, groups, heads / groups * width, width]);
        let mixed = shares.matmul(values).reshape([rows, heads, width, head]).swap_dims(1, 2);
        linear(mixed.reshape([rows * width, heads * head]), &layer.o_proj)
    }

    fn feed_forward(&self, layer: &Layer, stream: Tensor<2>) -> Tensor<2> {
        let normed = rms_norm(stream, &layer.post_attention_layernorm, self.config.rms_norm_eps);
        let gate = activation::silu(linear(normed.clone(), &layer.gate_proj));
        linear(gate * linear(normed, &layer.up_proj), &layer.down_proj)
    }
}

/// The parts of a layer in the order of the fields of [`Layer`], which is the order of a visit.
const LAYER_PARTS: [&str; 9] = [
    "input_layernorm",
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "post_attention_layernorm",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
];

fn linear(input: Tensor<2>, weight: &Param<Tensor<2>>) -> Tensor<2> {
    input.matmul(weight.val().transpose())
}

fn rms_norm(input: Tensor<2>, weight: &Param<Tensor<1>>, epsilon: f64) -> Tensor<2> {
    let scale = (input.clone().square().mean_dim(1) + epsilon).sqrt().recip();
    input * scale * weight.val().unsqueeze()
}

/// What positions and mask contribute to attention, the same in every layer.
struct Geometry {
    rows: usize,
    width: usize,
    /// `[rows, width, 1, head_dim / 2]`.
    cosine: Tensor<4>,
    /// `[rows, width, 1, head_dim / 2]`.
    sine: Tensor<4>,
    /// 0 where a place is seen, very negative elsewhere; `[1 or rows, 1, width, width]`.
    mask: Tensor<4>,
}

impl Geometry {
    fn new(batch: &Batch, config: &LlamaConfig, device: &Device) -> Self {
        let (rows, width, half) = (batch.rows, batch.width, config.head_dim / 2);
        let frequencies: Vec<f64> =
            (0..half).map(|index| config.rope_theta.powf(-2.0 * index as f64 / config.head_dim as f64)).collect();
        let angles = |function: fn(f64) -> f64| {
            let table: Vec<f32> = batch
                .positions
                .iter()
                .flat_map(|&position| frequencies.iter().map(move |frequency| function(position as f64 * frequency) as f32))
                .collect();
            Tensor::<4>::from_data(TensorData::new(table, [rows, width, 1, half]), device)
        };
        let masks = if batch.branches.is_some() { rows } else { 1 };
        let mut mask = Vec::with_capacity(masks * width * width);
        for row in 0..masks {
            for from in 0..width {
                mask.extend((0..width).map(|to| if batch.sees(row, from, to) { 0.0_f32 } else { -1e9 }));
            }
        }
        let mask = Tensor::from_data(TensorData::new(mask, [masks, 1, width, width]), device);
        Self { rows, width, cosine: angles(f64::cos), sine: angles(f64::sin), mask }
    }

    /// Turns each pair (i, i + half) of a head by its position's angle, as Hugging Face's Llama does.
    fn rotate(&self, heads: Tensor<4>) -> Tensor<4> {
        let half = heads.dims()[3] / 2;
        let first = heads.clone().narrow(3, 0, half);
        let second = heads.narrow(3, half, half);
        let turned = vec![
            first.clone() * self.cosine.clone() - second.clone() * self.sine.clone(),
            second * self.cosine.clone() + first * self.sine.clone(),
        ];
        Tensor::cat(turned, 3)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::models::{Checkpoint, Row};

    /// Makes a small untrained checkpoint for tests.
    pub(crate) fn tiny(seed: u64) -> Checkpoint {
        let texts = ["what is 3 plus 4", "Policy: One", "Policy: Two", "terms 2"];
        let tokenizer = Tokenizer::train(texts.iter().map(ToString::to_string), 300).unwrap();
        let settings = LlamaSettings {
            hidden_size: 16,
            intermediate_size: 24,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            initializer_range: 0.3,
            ..LlamaSettings::default()
        };
        Checkpoint::new(&settings, tokenizer, seed).unwrap()
    }

    fn logits(model: &Llama, rows: &[&Row]) -> Vec<Vec<f32>> {
        let batch = Batch::new(rows);
        let values = model.logits(&batch).into_data().try_to_vec::<f32>().unwrap();
        values.chunks(model.config().vocab_size).map(<[f32]>::to_vec).collect()
    }

    fn close(left: &[f32], right: &[f32]) -> bool {
        left.iter().zip(right).all(|(left, right)| (left - right).abs() < 1e-5)
    }

    #[test]
    fn a_branch_and_a_padded_row_give_the_logits_of_the_row_alone() {
        let model = tiny(1).model;
        let tree = Row::new(vec![5, 6, 7], vec![vec![8, 9, 3], vec![8, 4, 10, 11]]);
        let long = Row::new(vec![1; 12], vec![vec![2, 3]]);
        let together = logits(&model, &[&long, &tree]);
        let first = logits(&model, &[&Row::new(vec![5, 6, 7], vec![vec![8, 9, 3]])]);
        let second = logits(&model, &[&Row::new(vec![5, 6, 7], vec![vec![8, 4, 10, 11]])]);
        // Targets are in the order: two of `long`, the shared one, two of the first branch, three of the second.
        for (index, expected) in
            [(2, &first[0]), (3, &first[1]), (4, &first[2]), (5, &second[1]), (6, &second[2]), (7, &second[3])]
        {
            assert!(close(&together[index], expected), "target {index}");
        }
        assert!(!close(&first[1], &first[2]));
    }

    #[test]
    fn a_later_token_changes_nothing_before_it_and_order_matters() {
        let model = tiny(2).model;
        let base = logits(&model, &[&Row::new(vec![5, 6], vec![vec![7, 8]])]);
        let other = logits(&model, &[&Row::new(vec![5, 6], vec![vec![7, 9]])]);
        assert_eq!(base[1], other[1]);
        let swapped = logits(&model, &[&Row::new(vec![6, 5], vec![vec![7, 8]])]);
        assert!(!close(&base[1], &swapped[1]));
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused_by_name() {
        let good = tiny(1).model.config().clone();
        assert_eq!(good.check(), Ok(()));
        let heads = LlamaConfig { num_attention_heads: 3, ..good.clone() };
        assert!(heads.check().unwrap_err().contains("num_attention_heads"));
        let groups = LlamaConfig { num_key_value_heads: 3, ..good };
        assert!(groups.check().unwrap_err().contains("num_key_value_heads"));
    }
}
