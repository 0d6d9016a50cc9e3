//! Products of matrices on devices whose memory this program does not access. Takes two tensors `[.., rows, columns]` of one type, each
//! transposed if `flipped` says so; gives their product. cuBLASLt computes it if it is installed, else burn's own kernels do.

use burn::tensor::Tensor;

use crate::models::fused::cuda::{self, Operand};

/// Multiplies two tensors.
pub(crate) fn product<const D: usize>(left: Tensor<D>, right: Tensor<D>, flipped: [bool; 2]) -> Tensor<D> {
    let there = [&left, &right].map(Operand::of);
    let found = match there {
        [Some(left), Some(right)] => cuda::sum_of_products(vec![[left, right]], &[1.0], flipped),
        _ => None,
    };
    found.map_or_else(|| composed(left, right, flipped), Operand::into_tensor)
}

/// Returns the first product plus `scale` times the second.
pub(crate) fn sum_of_products(terms: [[Tensor<2>; 2]; 2], scale: f32, flipped: [bool; 2]) -> Tensor<2> {
    let there = terms.each_ref().map(|[left, right]| Some([Operand::of(left)?, Operand::of(right)?]));
    let found = match there {
        [Some(first), Some(second)] => cuda::sum_of_products(vec![first, second], &[1.0, scale], flipped),
        _ => None,
    };
    found.map_or_else(
        || {
            let [first, second] = terms.map(|[left, right]| composed(left, right, flipped));
            first + second * scale
        },
        Operand::into_tensor,
    )
}

fn composed<const D: usize>(left: Tensor<D>, right: Tensor<D>, flipped: [bool; 2]) -> Tensor<D> {
    let turned = |tensor: Tensor<D>, flipped: bool| if flipped { tensor.swap_dims(D - 2, D - 1) } else { tensor };
    turned(left, flipped[0]).matmul(turned(right, flipped[1]))
}
