//! A linear layer with an adapter. Takes the adapter's factors and the layer's inputs; gives the layer's outputs with the side branch.

use burn::tensor::{DType, Tensor};

use crate::models::{
    fused::{self, Matrix},
    weights::{
        factors::{LORA_A, LORA_B, Lora, MAGNITUDE},
        parameters::Parameters,
    },
};

/// Applies a linear layer with `LoRA` (Hu et al. 2021) as a side branch, so that the dense `W + s * B * A` is never computed. With `DoRA` (Liu et
/// al. 2024), its rows are scaled.
pub(crate) fn linear(
    parameters: &Parameters,
    module: &str,
    weight: &Matrix,
    bias: Option<Tensor<1>>,
    lora: Lora,
    input: Tensor<2>,
) -> Tensor<2> {
    let first = parameters.factor(parameters.matrix(&format!("{module}{LORA_A}")));
    let second = parameters.factor(parameters.matrix(&format!("{module}{LORA_B}")));
    if parameters.dropout().is_none() && !lora.magnitude && !parameters.rounds() {
        return biased(weight.adapted(input, [first, second], lora.scale), bias);
    }
    let kept = parameters.dropout().map(|dropout| dropout.apply(module, input.clone()));
    let seen = kept.clone().unwrap_or_else(|| input.clone());
    let inner = parameters.product(fused::linear(seen, first.clone()));
    let branch = parameters.product(fused::linear(parameters.factor(inner), second.clone())) * lora.scale;
    let whole = weight.multiply(input);
    if !lora.magnitude {
        return parameters.rounded(parameters.product(biased(whole, bias)) + branch);
    }
    let whole = parameters.product(whole);
    let magnitude = parameters.vector(&format!("{module}{MAGNITUDE}"));
    let norms = row_norms(constant(weight.dense(parameters.device())), constant(first), constant(second), lora.scale);
    // Norms that differ from the magnitudes only by rounding count as equal, so that a new adapter leaves every bit of its base's outputs.
    let fresh = constant(magnitude.clone());
    let near = (norms.clone() - fresh.clone()).abs().lower_equal(norms.clone() * ROUNDING);
    let ratio = (magnitude / norms.mask_where(near, fresh)).unsqueeze();
    let output = match kept {
        None => parameters.rounded(whole + branch) * ratio,
        // As in PEFT, the base's own part has all inputs; the part that the ratio changes has the inputs that dropout leaves, as the branch has.
        Some(kept) => whole + weight.multiply(kept).cast(DType::F32) * (ratio.clone() - 1.0) + branch * ratio,
    };
    biased(output, bias.map(|bias| bias.cast(DType::F32)))
}

/// Adds a bias, if there is one.
pub(crate) fn biased(output: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    match bias {
        Some(bias) => output + bias.unsqueeze(),
        None => output,
    }
}

/// The relative rounding error that norms may have.
const ROUNDING: f64 = 4.0 * f32::EPSILON as f64;

/// Returns a tensor in f32 without its graph, if it has one.
fn constant<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    tensor.inner().cast(DType::F32)
}

/// Computes the Euclidean norms of the rows of `W + s * B * A` without the matrix itself: `|w|² + 2s b·(Wa) + s² b(AAᵀ)bᵀ`.
///
/// No gradient flows through them, since `DoRA` treats the norms as constants.
pub(crate) fn row_norms(weight: Tensor<2>, first: Tensor<2>, second: Tensor<2>, scale: f64) -> Tensor<1> {
    let cross = fused::product(weight.clone(), first.clone(), [false, true]) * (2.0 * scale);
    let lengths = fused::product(first.clone(), first, [false, true]);
    let own = fused::product(second.clone(), lengths, [false, false]) * (scale * scale);
    let squares = weight.square().sum_dim(1) + (second * (cross + own)).sum_dim(1);
    squares.sqrt().squeeze_dim(1)
}
