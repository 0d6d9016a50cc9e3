//! The gate of a feed-forward block on devices whose memory this program does not access. Takes gate and value, `[places, size]` each; gives the
//! function of the gate times the value.
//!
//! Both are kept for the backward pass. All three are bfloat16 if they are outputs and inputs of products of bfloat16.

use burn::tensor::{DType, Tensor};

use super::{
    formula::{self, Formula},
    gate::Gate,
};

#[derive(Clone, Debug)]
struct Gated {
    gate: Gate,
    /// The number format of gate, value and output. The computation between them is in f32.
    dtype: DType,
}

impl Formula<2, 2> for Gated {
    fn forward(&self, [gate, value]: [Tensor<2>; 2]) -> (Tensor<2>, Vec<Tensor<2>>) {
        let output = super::gate_forward(&gate, &value, self.gate).unwrap_or_else(|| {
            let [opened, _] = self.gate.at(gate.clone().cast(DType::F32));
            (opened * value.clone().cast(DType::F32)).cast(self.dtype)
        });
        (output, vec![gate, value])
    }

    fn backward(&self, saved: Vec<Tensor<2>>, gradient: Tensor<2>, wanted: [bool; 2]) -> [Option<Tensor<2>>; 2] {
        let [gate, value]: [Tensor<2>; 2] = saved.try_into().expect("what the forward pass saved");
        if let Some(found) = super::gate_backward(&gate, &value, &gradient, self.gate) {
            return found.map(Some);
        }
        let [opened, slope] = self.gate.at(gate.cast(DType::F32));
        let gradient = gradient.cast(DType::F32);
        let of_gate = wanted[0].then(|| (gradient.clone() * value.cast(DType::F32) * slope).cast(self.dtype));
        let of_value = wanted[1].then(|| (gradient * opened).cast(self.dtype));
        [of_gate, of_value]
    }
}

/// Multiplies values by a function of the gate. Returns nothing if the graph has checkpoints. `half` says that both are outputs of products of
/// bfloat16.
pub(crate) fn gated_on_device(gate: Gate, half: bool, input: Tensor<2>, value: Tensor<2>) -> Option<Tensor<2>> {
    let dtype = if half { DType::BF16 } else { DType::F32 };
    formula::apply(Gated { gate, dtype }, [input, value].map(|tensor| tensor.cast(dtype)))
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use burn::tensor::activation;

    use super::*;
    use crate::models::fused::tests::{Random, agree};

    #[test]
    fn values_and_gradients_are_those_of_the_formula() {
        let composed = |gate: Gate, input: Tensor<2>| match gate {
            Gate::Silu => activation::silu(input),
            Gate::GeluTanh => {
                let cube = input.clone() * input.clone() * input.clone() * 0.044_715;
                input.clone() * (((input + cube) * (2.0 / PI).sqrt()).tanh() + 1.0) * 0.5
            }
        };
        for gate in [Gate::Silu, Gate::GeluTanh] {
            let mut random = Random(5);
            let inputs = [random.tensor([5, 21]) * 3.0, random.tensor([5, 21])];
            agree(
                inputs,
                |[input, value]| gated_on_device(gate, false, input, value).unwrap(),
                |[input, value]| composed(gate, input) * value,
            );
        }
    }
}
