//! A linear layer with a side branch of low rank (`LoRA`, Hu et al. 2021). Takes activations `[places, in]`, a matrix `[out, in]` and factors
//! `[rank, in]` and `[out, rank]`; gives `[places, out]`.
//!
//! Sums are added in place, and the dense matrix gets a gradient only if it is trained itself.

use burn::{
    backend::{Flex, ops::FloatTensorOps as _},
    tensor::Tensor,
};
use burn_flex::FlexTensor;

use super::{
    cpu::{
        lanes::vectorised,
        operation::{Input, Operation, apply, elements},
        product::product,
    },
    device::{
        formula::{self, Formula},
        multiply::{self, sum_of_products},
    },
    linear::linear,
};

#[derive(Clone, Debug)]
struct Adapted {
    branch: Branch,
}

/// The side branch alone.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    pub(super) scale: f32,
}

/// Adds a tensor, multiplied by a factor, in place to one that is not shared.
fn add(sum: &mut FlexTensor, other: &FlexTensor, scale: f32) {
    let (sum, other) = (sum.storage_mut::<f32>(), elements(other));
    vectorised(|| {
        for (sum, other) in sum.iter_mut().zip(other) {
            *sum += other * scale;
        }
    });
}

fn scaled(mut tensor: FlexTensor, scale: f32) -> FlexTensor {
    for value in tensor.storage_mut::<f32>() {
        *value *= scale;
    }
    tensor
}

impl Branch {
    /// Adds the branch of an input and both factors to `output`. Saves the input, the factors, and the input times the first factor.
    pub(super) fn forward(
        &self,
        mut output: FlexTensor,
        [input, first, second]: [FlexTensor; 3],
    ) -> (FlexTensor, [FlexTensor; 4]) {
        let inner = product(input.clone(), first.clone());
        let side = Flex::float_matmul(inner.clone(), Flex::float_transpose(second.clone()));
        add(&mut output, &side, self.scale);
        (output, [input, first, second, inner])
    }

    /// Computes the gradients of input and factors. `through` multiplies the output's gradient by the matrix beside the branch.
    pub(super) fn backward(
        &self,
        [input, first, second, inner]: [FlexTensor; 4],
        gradient: FlexTensor,
        wanted: [bool; 3],
        through: impl FnOnce(&FlexTensor) -> FlexTensor,
    ) -> [Option<FlexTensor>; 3] {
        let of_inner = scaled(Flex::float_matmul(gradient.clone(), second), self.scale);
        let of_input = wanted[0].then(|| {
            let mut sum = through(&gradient);
            add(&mut sum, &Flex::float_matmul(of_inner.clone(), first), 1.0);
            sum
        });
        let of_first = wanted[1].then(|| Flex::float_matmul(Flex::float_transpose(of_inner), input));
        let of_second = wanted[2].then(|| scaled(Flex::float_matmul(Flex::float_transpose(gradient), inner), self.scale));
        [of_input, of_first, of_second]
    }
}

impl Operation<4> for Adapted {
    /// The matrix, and the tensors that the branch saves.
    type Saved = (FlexTensor, [FlexTensor; 4]);

    fn forward(&self, [input, weight, first, second]: [FlexTensor; 4]) -> (FlexTensor, Self::Saved) {
        let output = product(input.clone(), weight.clone());
        let (output, saved) = self.branch.forward(output, [input, first, second]);
        (output, (weight, saved))
    }

    fn backward(&self, (weight, saved): Self::Saved, gradient: FlexTensor, wanted: [bool; 4]) -> [Option<FlexTensor>; 4] {
        let of_weight = wanted[1].then(|| Flex::float_matmul(Flex::float_transpose(gradient.clone()), saved[0].clone()));
        let wanted = [wanted[0], wanted[2], wanted[3]];
        let through = |gradient: &FlexTensor| Flex::float_matmul(gradient.clone(), weight);
        let [of_input, of_first, of_second] = self.branch.backward(saved, gradient, wanted, through);
        [of_input, of_weight, of_first, of_second]
    }
}

/// Multiplies by `weight + scale * second * first` without computing that matrix.
pub(crate) fn adapted(input: Tensor<2>, weight: Tensor<2>, factors: [Tensor<2>; 2], scale: f64) -> Tensor<2> {
    let [first, second] = factors;
    let memory = (Input::of(&input), Input::of(&weight), Input::of(&first), Input::of(&second));
    if let (Some(input), Some(weight), Some(first), Some(second)) = memory {
        return apply(Adapted { branch: Branch { scale: scale as f32 } }, [input, weight, first, second]);
    }
    let inputs = [input.clone(), weight.clone(), first.clone(), second.clone()];
    formula::apply(OnDevice { scale: scale as f32 }, inputs).unwrap_or_else(|| composed(input, weight, [first, second], scale))
}

/// The same operation on devices whose memory this program does not access.
#[derive(Clone, Debug)]
struct OnDevice {
    scale: f32,
}

impl Formula<4, 2> for OnDevice {
    fn forward(&self, [input, weight, first, second]: [Tensor<2>; 4]) -> (Tensor<2>, Vec<Tensor<2>>) {
        let inner = multiply::product(input.clone(), first.clone(), [false, true]);
        let terms = [[input.clone(), weight.clone()], [inner.clone(), second.clone()]];
        (sum_of_products(terms, self.scale, [false, true]), vec![input, weight, first, second, inner])
    }

    fn backward(&self, saved: Vec<Tensor<2>>, gradient: Tensor<2>, wanted: [bool; 4]) -> [Option<Tensor<2>>; 4] {
        let [input, weight, first, second, inner] = saved.try_into().expect("what the forward pass saved");
        let of_inner = multiply::product(gradient.clone(), second, [false, false]);
        let of_input = wanted[0].then(|| {
            let terms = [[gradient.clone(), weight], [of_inner.clone(), first]];
            sum_of_products(terms, self.scale, [false, false])
        });
        let of_weight = wanted[1].then(|| multiply::product(gradient.clone(), input.clone(), [true, false]));
        let of_first = wanted[2].then(|| multiply::product(of_inner, input, [true, false]) * self.scale);
        let of_second = wanted[3].then(|| multiply::product(gradient, inner, [true, false]) * self.scale);
        [of_input, of_weight, of_first, of_second]
    }
}

fn composed(input: Tensor<2>, weight: Tensor<2>, [first, second]: [Tensor<2>; 2], scale: f64) -> Tensor<2> {
    linear(input.clone(), weight) + linear(linear(input, first), second) * scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::fused::tests::{Random, agree};

    #[test]
    fn values_and_gradients_are_those_of_the_formula() {
        let mut random = Random(7);
        let inputs = [random.tensor([7, 5]), random.tensor([9, 5]), random.tensor([2, 5]), random.tensor([9, 2])];
        agree(
            inputs,
            |[input, weight, first, second]| adapted(input, weight, [first, second], 1.5),
            |[input, weight, first, second]| composed(input, weight, [first, second], 1.5),
        );
    }
}
