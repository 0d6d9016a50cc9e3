//! The gate of a feed-forward block with `SiLU` (Shazeer 2020). Takes gate and value, each `[places, size]`; gives `silu(gate) * value`.

use burn::tensor::{Tensor, activation};
use burn_flex::FlexTensor;

use super::cpu::{
    lanes::{sigmoid, vectorised},
    operation::{Input, Operation, apply, contiguous, elements, elements_mut, tensor},
};

#[derive(Clone, Debug)]
struct Gated;

impl Operation<2> for Gated {
    type Saved = [FlexTensor; 2];

    fn forward(&self, inputs: [FlexTensor; 2]) -> (FlexTensor, Self::Saved) {
        let [gate, value] = inputs.map(contiguous);
        let mut output = vec![0.0; elements(&gate).len()];
        vectorised(|| {
            for ((output, &gate), value) in output.iter_mut().zip(elements(&gate)).zip(elements(&value)) {
                *output = gate * sigmoid(gate) * value;
            }
        });
        let shape = gate.layout().shape().dims::<2>();
        (tensor(output, shape), [gate, value])
    }

    fn backward(&self, [mut gate, mut value]: Self::Saved, gradient: FlexTensor, wanted: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let gradient = contiguous(gradient);
        // The gradients are written over the inputs, which nothing else shares.
        let (x, y) = (elements_mut(&mut gate), elements_mut(&mut value));
        vectorised(|| {
            for ((x, y), &slope) in x.iter_mut().zip(y).zip(elements(&gradient)) {
                let share = sigmoid(*x);
                (*x, *y) = (slope * *y * share * (1.0 + *x * (1.0 - share)), slope * *x * share);
            }
        });
        [wanted[0].then_some(gate), wanted[1].then_some(value)]
    }
}

/// Multiplies values by `silu(gate)`.
pub(crate) fn gated(gate: Tensor<2>, value: Tensor<2>) -> Tensor<2> {
    match (Input::of(&gate), Input::of(&value)) {
        (Some(gate_input), Some(value_input)) => {
            drop((gate, value));
            apply(Gated, [gate_input, value_input])
        }
        _ => composed(gate, value),
    }
}

fn composed(gate: Tensor<2>, value: Tensor<2>) -> Tensor<2> {
    activation::silu(gate) * value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::fused::tests::{Random, agree};

    #[test]
    fn values_and_gradients_are_those_of_the_formula() {
        let mut random = Random(2);
        let inputs = [random.tensor([5, 21]) * 3.0, random.tensor([5, 21])];
        agree(inputs, |[gate, value]| gated(gate, value), |[gate, value]| composed(gate, value));
    }
}
