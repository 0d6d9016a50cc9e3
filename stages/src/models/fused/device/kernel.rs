//! A call of a kernel of our own: its name in `kernels.cu`, its size, and what it is given beside its inputs.

use burn::tensor::{DType, Shape};

/// A kernel with what it is told. Its parameters are its inputs, its outputs, the integers and the floats, in this order.
#[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "read where kernels are launched"))]
pub(crate) struct Launch<'a> {
    /// Its name in `kernels.cu`.
    pub(crate) kernel: &'static str,
    /// What it is compiled with for `VALUE`.
    pub(crate) values: DType,
    pub(crate) blocks: usize,
    /// Threads of a block.
    pub(crate) threads: [u32; 2],
    pub(crate) outputs: &'a [(Shape, DType)],
    pub(crate) integers: &'a [usize],
    pub(crate) floats: &'a [f32],
}
