//! A linear layer. Takes activations `[places, in]` and a matrix `[out, in]`; gives `[places, out]`.
//!
//! burn's own product computes the gradient of the transposed matrix, which then has to be transposed by a copy.

use burn::{
    backend::{Flex, ops::FloatTensorOps as _},
    tensor::Tensor,
};
use burn_flex::FlexTensor;

use super::{
    cpu::{
        operation::{Input, Operation, apply},
        product::product,
    },
    device::{
        formula::{self, Formula},
        multiply,
    },
};

#[derive(Clone, Debug)]
struct Linear;

impl Operation<2> for Linear {
    type Saved = [FlexTensor; 2];

    fn forward(&self, [input, weight]: [FlexTensor; 2]) -> (FlexTensor, Self::Saved) {
        let output = product(input.clone(), weight.clone());
        (output, [input, weight])
    }

    fn backward(&self, [input, weight]: Self::Saved, gradient: FlexTensor, wanted: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let of_input = wanted[0].then(|| Flex::float_matmul(gradient.clone(), weight));
        let of_weight = wanted[1].then(|| Flex::float_matmul(Flex::float_transpose(gradient), input));
        [of_input, of_weight]
    }
}

/// The same operation on devices whose memory this program does not access.
#[derive(Clone, Debug)]
struct OnDevice;

impl Formula<2, 2> for OnDevice {
    fn forward(&self, [input, weight]: [Tensor<2>; 2]) -> (Tensor<2>, Vec<Tensor<2>>) {
        let output = multiply::product(input.clone(), weight.clone(), [false, true]);
        (output, vec![input, weight])
    }

    fn backward(&self, saved: Vec<Tensor<2>>, gradient: Tensor<2>, wanted: [bool; 2]) -> [Option<Tensor<2>>; 2] {
        let [input, weight] = saved.try_into().expect("what the forward pass saved");
        let of_input = wanted[0].then(|| multiply::product(gradient.clone(), weight, [false, false]));
        let of_weight = wanted[1].then(|| multiply::product(gradient, input, [true, false]));
        [of_input, of_weight]
    }
}

/// Multiplies by a matrix as Hugging Face stores it: `input * weightᵀ`.
pub(crate) fn linear(input: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    match (Input::of(&input), Input::of(&weight)) {
        (Some(input), Some(weight)) => apply(Linear, [input, weight]),
        _ => formula::apply(OnDevice, [input.clone(), weight.clone()]).unwrap_or_else(|| input.matmul(weight.transpose())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::fused::tests::{Random, agree};

    #[test]
    fn values_and_gradients_are_those_of_the_formula() {
        let mut random = Random(6);
        agree(
            [random.tensor([7, 5]), random.tensor([9, 5])],
            |[input, weight]| linear(input, weight),
            |[input, weight]| input.matmul(weight.transpose()),
        );
    }
}
