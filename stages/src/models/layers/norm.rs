//! Norms. Takes activations; gives normalised activations of the same shape.

use burn::tensor::Tensor;

pub(in crate::models) use crate::models::fused::rms_norm;

/// Applies the root-mean-square norm to each head: `[rows, width, heads, size]` to the same.
pub(crate) fn rms_norm_heads(input: Tensor<4>, weight: Tensor<1>, epsilon: f64) -> Tensor<4> {
    let [rows, width, heads, size] = input.dims();
    rms_norm(input.reshape([rows * width * heads, size]), weight, epsilon).reshape([rows, width, heads, size])
}

/// Applies layer norm over the last dimension (Ba et al. 2016): `[places, size]` to the same.
pub(crate) fn layer_norm(input: Tensor<2>, weight: Tensor<1>, bias: Tensor<1>, epsilon: f64) -> Tensor<2> {
    let centred = input.clone() - input.mean_dim(1);
    let scale = (centred.clone().square().mean_dim(1) + epsilon).sqrt().recip();
    centred * scale * weight.unsqueeze() + bias.unsqueeze()
}

/// Applies layer norm to each head: `[rows, width, heads, size]` to the same.
pub(crate) fn layer_norm_heads(input: Tensor<4>, weight: Tensor<1>, bias: Tensor<1>, epsilon: f64) -> Tensor<4> {
    let [rows, width, heads, size] = input.dims();
    layer_norm(input.reshape([rows * width * heads, size]), weight, bias, epsilon).reshape([rows, width, heads, size])
}
