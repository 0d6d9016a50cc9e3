//! Tensors' memory on a CUDA device.

use std::any::Any;

use burn_cubecl::tensor::CubeTensor;
use cubecl_cuda::CudaRuntime;
use cubecl_runtime::runtime::Runtime;

/// What burn's CUDA runtime calls itself.
const CUDA: &str = "cuda";

/// Says whether a tensor is in a CUDA device's memory.
pub(super) fn is_cuda(tensor: &CubeTensor) -> bool {
    tensor.client.name() == CUDA
}

/// A tensor's memory, for as long as work with it is being given to the device.
pub(super) struct Memory {
    pub(super) address: u64,
    _kept: Box<dyn Any>,
}

/// Finds a tensor's memory, on the device's own thread.
pub(super) fn memory(tensor: &CubeTensor) -> Option<Memory> {
    let resource = tensor.client.get_resource::<<CudaRuntime as Runtime>::Server>(tensor.handle.clone()).ok()?;
    Some(Memory { address: resource.resource().ptr, _kept: Box::new(resource) })
}
