//! Activations of feed-forward blocks, under the names of transformers' `ACT2FN`. Takes a gate and a value; gives the function's result.

use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};

use burn::tensor::{DType, Tensor, activation};
use serde::Deserialize;

use crate::models::fused::{self, Gate};

/// The function between the two matrices of a feed-forward block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Activation {
    /// `x * sigmoid(x)`.
    #[serde(alias = "swish")]
    Silu,
    /// `x * Φ(x)` with the exact normal distribution.
    #[serde(alias = "gelu_python")]
    Gelu,
    /// The approximation of [`Activation::Gelu`] by `tanh` (Hendrycks and Gimpel 2016), which has five names.
    #[serde(
        rename = "gelu_pytorch_tanh",
        alias = "gelu_new",
        alias = "gelu_python_tanh",
        alias = "gelu_fast",
        alias = "gelu_accurate"
    )]
    GeluTanh,
    /// [`Activation::Gelu`], clipped to -10 and 10.
    #[serde(rename = "gelu_10")]
    ClippedGelu,
    /// `x * sigmoid(1.702 x)`.
    QuickGelu,
    /// `x * relu6(x + 3) / 6`.
    #[serde(rename = "hardswish")]
    HardSwish,
    /// The distribution function of a normal distribution with mean √½ (Ma et al. 2022).
    Laplace,
    /// `x`, or a hundredth of it below 0.
    LeakyRelu,
    /// `x`.
    Linear,
    /// `x * tanh(softplus(x))`.
    Mish,
    /// `max(x, 0)`.
    Relu,
    /// `max(x, 0)²`.
    Relu2,
    /// `max(x, 0)`, at most 6.
    Relu6,
    /// `sigmoid(x)`.
    Sigmoid,
    /// `√softplus(x)`.
    #[serde(rename = "sqrtsoftplus")]
    SqrtSoftplus,
    /// `tanh(x)`.
    Tanh,
}

impl Activation {
    /// Multiplies `value` by the function of `gate`, `[places, size]` each: the middle of a gated feed-forward block.
    pub(crate) fn gate(self, gate: Tensor<2>, value: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Silu => fused::gated(gate, value),
            _ => self.apply(gate) * value,
        }
    }

    /// Does the same as [`Self::gate`] on a device whose memory this program does not access. `half` says that inputs and output are
    /// outputs and inputs of products of bfloat16.
    pub(crate) fn gate_on_device(self, half: bool, gate: Tensor<2>, value: Tensor<2>) -> Tensor<2> {
        let known = match self {
            Self::Silu => Some(Gate::Silu),
            Self::GeluTanh => Some(Gate::GeluTanh),
            _ => None,
        };
        let gated = known.and_then(|known| fused::gated_on_device(known, half, gate.clone(), value.clone()));
        gated.unwrap_or_else(|| self.apply(gate.cast(DType::F32)) * value.cast(DType::F32))
    }

    /// Applies the function to every element.
    pub(crate) fn apply(self, input: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Silu => activation::silu(input),
            Self::Gelu => activation::gelu(input),
            Self::GeluTanh => {
                // Multiplied out, since `powf` is slow and has no exact cube of negative numbers.
                let cube = input.clone() * input.clone() * input.clone() * 0.044_715;
                let root = (2.0 / std::f64::consts::PI).sqrt();
                input.clone() * (((input + cube) * root).tanh() + 1.0) * 0.5
            }
            Self::ClippedGelu => activation::gelu(input).clamp(-10.0, 10.0),
            Self::QuickGelu => input.clone() * activation::sigmoid(input * 1.702),
            Self::HardSwish => input.clone() * (input + 3.0).clamp(0.0, 6.0) / 6.0,
            Self::Laplace => ((input - FRAC_1_SQRT_2) / (0.282_095 * SQRT_2)).erf().add_scalar(1.0) * 0.5,
            Self::LeakyRelu => activation::leaky_relu(input, 0.01),
            Self::Linear => input,
            Self::Mish => input.clone() * softplus(input).tanh(),
            Self::Relu => activation::relu(input),
            Self::Relu2 => activation::relu(input).square(),
            Self::Relu6 => input.clamp(0.0, 6.0),
            Self::Sigmoid => activation::sigmoid(input),
            Self::SqrtSoftplus => softplus(input).sqrt(),
            Self::Tanh => input.tanh(),
        }
    }
}

/// Returns `ln(1 + e^x)`, without overflow.
fn softplus(input: Tensor<2>) -> Tensor<2> {
    activation::relu(input.clone()) + input.abs().neg().exp().log1p()
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
        // The values of torch.nn.functional's functions at 1.3 and -0.7.
        for (name, positive, negative) in [
            ("silu", 1.021_585_5, -0.232_268_6),
            ("gelu", 1.174_159_4, -0.169_374_6),
            ("gelu_new", 1.173_929, -0.169_429_9),
            ("gelu_pytorch_tanh", 1.173_929, -0.169_429_9),
            ("relu", 1.3, 0.0),
            ("relu2", 1.69, 0.0),
            ("relu6", 1.3, 0.0),
            ("leaky_relu", 1.3, -0.007),
            ("linear", 1.3, -0.7),
            ("gelu_10", 1.174_159_4, -0.169_374_6),
            ("hardswish", 0.931_666_6, -0.268_333_3),
            ("laplace", 0.9822124, 0.0000003),
            ("mish", 1.1859766, -0.2678702),
            ("sqrtsoftplus", 1.2413736, 0.6349693),
            ("tanh", 0.861_723_2, -0.604_367_8),
        ] {
            for (value, expected) in [(1.3, positive), (-0.7, negative)] {
                let found = at(name, value);
                assert!((found - expected).abs() < 2e-5, "{name}({value}) is {found}, not {expected}");
            }
        }
        assert!(serde_json::from_value::<Activation>("prelu".into()).is_err());
    }
}
