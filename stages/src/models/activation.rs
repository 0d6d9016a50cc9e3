//! Activations of feed-forward blocks, under the names of transformers' `ACT2FN`.

use burn::tensor::{Tensor, activation};
use serde::Deserialize;

use super::fused::{self, Gate};

/// The function between the two matrices of a feed-forward block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Activation {
    /// `x * sigmoid(x)`.
    #[serde(alias = "swish")]
    Silu,
    /// `x * Φ(x)` with the exact normal distribution.
    #[serde(alias = "gelu_python")]
    Gelu,
    /// The approximation of it by `tanh` (Hendrycks and Gimpel 2016), which goes by five names.
    #[serde(
        rename = "gelu_pytorch_tanh",
        alias = "gelu_new",
        alias = "gelu_python_tanh",
        alias = "gelu_fast",
        alias = "gelu_accurate"
    )]
    GeluTanh,
    /// `x * sigmoid(1.702 x)`.
    QuickGelu,
    /// `max(x, 0)`.
    Relu,
    /// `max(x, 0)²`.
    Relu2,
    /// `sigmoid(x)`.
    Sigmoid,
    /// `tanh(x)`.
    Tanh,
}

impl Activation {
    /// Multiplies `value` by the function of `gate`: the middle of a gated feed-forward block, `[places, size]` each.
    pub(super) fn gate(self, gate: Tensor<2>, value: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Silu => fused::gated(gate, value),
            _ => self.apply(gate) * value,
        }
    }

    /// The same on a device whose memory is not reached; `half` says that both inputs came out of products of bfloat16.
    pub(super) fn gate_elsewhere(self, half: bool, gate: Tensor<2>, value: Tensor<2>) -> Tensor<2> {
        let known = match self {
            Self::Silu => Some(Gate::Silu),
            Self::GeluTanh => Some(Gate::GeluTanh),
            _ => None,
        };
        let gated = known.and_then(|known| fused::gated_elsewhere(known, half, gate.clone(), value.clone()));
        gated.unwrap_or_else(|| self.apply(gate) * value)
    }

    /// Applies the function to every element.
    pub(super) fn apply(self, input: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Silu => activation::silu(input),
            Self::Gelu => activation::gelu(input),
            Self::GeluTanh => {
                // Multiplied out: `powf` is slow and has no exact cube of negative numbers.
                let cube = input.clone() * input.clone() * input.clone() * 0.044_715;
                let root = (2.0 / std::f64::consts::PI).sqrt();
                input.clone() * (((input + cube) * root).tanh() + 1.0) * 0.5
            }
            Self::QuickGelu => input.clone() * activation::sigmoid(input * 1.702),
            Self::Relu => activation::relu(input),
            Self::Relu2 => activation::relu(input).square(),
            Self::Sigmoid => activation::sigmoid(input),
            Self::Tanh => input.tanh(),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    #[test]
    fn values_are_those_of_pytorch() {
        let at = |name: &str, value: f32| {
            let function: Activation = serde_json::from_value(name.into()).unwrap();
            let input = Tensor::from_data(TensorData::new(vec![value], [1, 1]), &Device::flex());
            function.apply(input).into_scalar::<f32>()
        };
        // torch.nn.functional of 1.3 and -0.7.
        for (name, positive, negative) in [
            ("silu", 1.021_585_5, -0.232_268_6),
            ("gelu", 1.174_159_4, -0.169_374_6),
            ("gelu_new", 1.173_929, -0.169_429_9),
            ("gelu_pytorch_tanh", 1.173_929, -0.169_429_9),
            ("relu", 1.3, 0.0),
            ("relu2", 1.69, 0.0),
            ("tanh", 0.861_723_2, -0.604_367_8),
        ] {
            for (value, expected) in [(1.3, positive), (-0.7, negative)] {
                let found = at(name, value);
                assert!((found - expected).abs() < 2e-5, "{name}({value}) is {found}, not {expected}");
            }
        }
        assert!(serde_json::from_value::<Activation>("gelu_10".into()).is_err());
    }
}
