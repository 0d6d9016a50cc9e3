//! Tensors on a CUDA device. Takes burn's tensors; gives those that are on such a device, and back.

use burn::{
    backend::Cube,
    tensor::{BackendPrimitive, Tensor, kind::Basic},
};
use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};

use super::memory;

/// A tensor of a CUDA device, outside any graph.
pub(in super::super) struct Operand(pub(super) CubeTensor);

impl Operand {
    /// Takes a tensor, if it is on a CUDA device.
    pub(in super::super) fn of<const D: usize, K>(tensor: &Tensor<D, K>) -> Option<Self>
    where
        K: Basic + BackendPrimitive<Cube, Primitive = CubeTensor>,
    {
        let tensor = tensor.clone().try_into_primitive::<Cube>().ok()?;
        memory::is_cuda(&tensor).then_some(Self(tensor))
    }

    /// Converts the operand back to a tensor.
    pub(in super::super) fn into_tensor<const D: usize>(self) -> Tensor<D> {
        Tensor::from_primitive::<Cube>(self.0)
    }

    /// Returns the tensor with its elements one after another in memory.
    pub(super) fn dense(self) -> CubeTensor {
        into_contiguous(self.0)
    }
}
