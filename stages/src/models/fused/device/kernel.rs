//! A call of a kernel of our own: its name in `kernels.cu`, its size, and its parameters beside its inputs.

use burn::tensor::{DType, Shape};

/// A launch of a kernel. Its parameters are its inputs, its outputs, the integers and the floats, in this order.
#[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "read where kernels are launched"))]
pub(crate) struct Launch<'a> {
    /// The kernel's name in `kernels.cu`.
    pub(crate) kernel: &'static str,
    /// The type that `VALUE` stands for in the kernel.
    pub(crate) values: DType,
    pub(crate) blocks: usize,
    /// Threads of a block, across and down.
    pub(crate) threads: [u32; 2],
    pub(crate) outputs: &'a [(Shape, DType)],
    pub(crate) integers: &'a [usize],
    pub(crate) floats: &'a [f32],
}
