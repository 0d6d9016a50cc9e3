//! The block that Llama, Mistral and Qwen 2 share: `RMSNorm`, attention with rotary positions, `RMSNorm`, a gated feed-forward block. Both
//! halves add to the residual stream. Takes a layer's weights and the stream, `[rows * width, hidden_size]`; gives the stream of the next layer.

use burn::tensor::Tensor;

use super::Heads;
use crate::models::{
    layers::{
        activation::Activation,
        attention::{Attention, Pass},
        norm::rms_norm,
        rotary::Rotation,
    },
    weights::parameters::Parameters,
};

/// The settings of one layer.
pub(super) struct Block<'a> {
    pub(super) heads: &'a Heads,
    pub(super) rms_norm_eps: f64,
    pub(super) hidden_act: Activation,
    pub(super) rotation: &'a Rotation,
    /// The mask, which says to which places each place attends.
    pub(super) mask: &'a Tensor<4>,
}

impl Block<'_> {
    /// Runs the layer of this index.
    pub(super) fn apply(&self, parameters: &Parameters, pass: &mut Pass<'_>, index: usize, mut stream: Tensor<2>) -> Tensor<2> {
        let epsilon = self.rms_norm_eps;
        let attention = Attention::usual(self.heads.size);
        let rotation = self.rotation;
        let layer = format!("model.layers.{index}");
        let normed = rms_norm(stream.clone(), parameters.vector(&format!("{layer}.input_layernorm.weight")), epsilon);
        let normed = parameters.shared_factor(normed);
        let project = |name: &str| parameters.raw_linear(&format!("{layer}.self_attn.{name}"), normed.clone());
        let queries = rotation.turn(pass.heads(project("q_proj"), self.heads.count));
        let keys = rotation.turn(pass.heads(project("k_proj"), self.heads.groups));
        let values = pass.heads(project("v_proj"), self.heads.groups);
        let mixed = attention.mix([queries, keys, values], self.mask, pass, index);
        stream = pass.wanted(index, stream);
        stream = stream + parameters.linear(&format!("{layer}.self_attn.o_proj"), mixed);

        let normed = rms_norm(stream.clone(), parameters.vector(&format!("{layer}.post_attention_layernorm.weight")), epsilon);
        stream + parameters.gated(&layer, self.hidden_act, normed)
    }
}
