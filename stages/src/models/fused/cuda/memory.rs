//! Memory on a CUDA device. Takes a tensor; gives the address of its memory.

use std::any::Any;

use burn_cubecl::tensor::CubeTensor;
use cubecl_cuda::CudaRuntime;
use cubecl_runtime::runtime::Runtime;

/// The name of burn's CUDA runtime.
const CUDA: &str = "cuda";

/// Returns whether a tensor is in a CUDA device's memory.
pub(super) fn is_cuda(tensor: &CubeTensor) -> bool {
    tensor.client.name() == CUDA
}

/// A tensor's memory, which is kept alive while work on it is queued.
pub(super) struct Memory {
    pub(super) address: u64,
    _kept: Box<dyn Any>,
}

/// Returns a tensor's memory. It is called on the device's own thread.
pub(super) fn memory(tensor: &CubeTensor) -> Option<Memory> {
    let resource = tensor.client.get_resource::<<CudaRuntime as Runtime>::Server>(tensor.handle.clone()).ok()?;
    Some(Memory { address: resource.resource().ptr, _kept: Box::new(resource) })
}
