//! Functions of a gate with their derivatives: `SiLU` and the approximation of `GELU` by `tanh`. Takes a gate; gives both.

use std::f64::consts::PI;

use burn::tensor::{Tensor, activation};

/// The functions of a gate that have a derivative here.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Gate {
    /// `x * sigmoid(x)`.
    Silu,
    /// The approximation of `x * Φ(x)` by `tanh`.
    GeluTanh,
}

impl Gate {
    /// Returns the function and its derivative.
    pub(crate) fn at(self, gate: Tensor<2>) -> [Tensor<2>; 2] {
        match self {
            Self::Silu => {
                let share = activation::sigmoid(gate.clone());
                let value = gate * share.clone();
                [value.clone(), share.clone() + value.clone() - value * share]
            }
            Self::GeluTanh => {
                const CUBE: f64 = 0.044_715;
                let (root, square) = ((2.0 / PI).sqrt(), gate.clone().square());
                let bend = (gate.clone() * (square.clone() * (root * CUBE) + root)).tanh();
                let half = (bend.clone() + 1.0) * 0.5;
                let steep = (bend.square().neg() + 1.0) * (square * (1.5 * root * CUBE) + 0.5 * root);
                [gate.clone() * half.clone(), half + gate * steep]
            }
        }
    }
}
