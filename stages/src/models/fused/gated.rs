//! The gate of a feed-forward block with `SiLU` (Shazeer 2020): gate and value `[places, size]` each in, `silu(gate) * value` out.

use burn::tensor::{Tensor, activation};
use burn_flex::FlexTensor;

use super::lanes::{sigmoid, vectorised};
use super::operation::{Input, Operation, apply, contiguous, elements, tensor};

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

    fn backward(&self, [gate, value]: Self::Saved, gradient: FlexTensor, wanted: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let gradient = contiguous(gradient);
        let shape = gate.layout().shape().dims::<2>();
        let (x, y, slope) = (elements(&gate), elements(&value), elements(&gradient));
        let (mut of_gate, mut of_value) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        vectorised(|| {
            let inputs = x.iter().zip(y).zip(slope);
            for (((&x, &y), &slope), (of_gate, of_value)) in inputs.zip(of_gate.iter_mut().zip(&mut of_value)) {
                let share = sigmoid(x);
                *of_value = slope * x * share;
                *of_gate = slope * y * share * (1.0 + x * (1.0 - share));
            }
        });
        [wanted[0].then(|| tensor(of_gate, shape)), wanted[1].then(|| tensor(of_value, shape))]
    }
}

/// Multiplies values by `silu(gate)`.
pub(in crate::models) fn gated(gate: Tensor<2>, value: Tensor<2>) -> Tensor<2> {
    match (Input::of(&gate), Input::of(&value)) {
        (Some(gate), Some(value)) => apply(Gated, [gate, value]),
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
