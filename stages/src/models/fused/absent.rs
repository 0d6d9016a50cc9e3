//! The place of `cuda` in a program without CUDA. Takes tensors; gives nothing, since none is ever on such a device.

use burn::tensor::{Tensor, kind::Basic};

use super::device::kernel::Launch;

/// A tensor of a CUDA device.
pub(super) enum Operand {}

impl Operand {
    pub(super) fn of<const D: usize, K: Basic>(_: &Tensor<D, K>) -> Option<Self> {
        None
    }

    pub(super) fn into_tensor<const D: usize>(self) -> Tensor<D> {
        match self {}
    }
}

pub(super) fn launch<const N: usize>(_: Launch<'_>, _: Vec<Operand>) -> Option<[Operand; N]> {
    None
}

pub(super) fn launch_all<const N: usize>(_: Vec<(Launch<'_>, Vec<Operand>)>) -> Option<Vec<[Operand; N]>> {
    None
}

pub(super) fn sum_of_products(_: Vec<[Operand; 2]>, _: &[f32], _: [bool; 2]) -> Option<Operand> {
    None
}
