//! A call of a kernel of our own: its name in `kernels.cu`, its size, and what it is given beside its inputs.

use burn::tensor::{DType, Shape};

/// A kernel with what it is told. Its parameters are its inputs, its outputs, the integers and the floats, in this order.
#[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "read where kernels are launched"))]
pub(super) struct Launch<'a> {
    /// Its name in `kernels.cu`.
    pub(super) kernel: &'static str,
    /// What it is compiled with for `VALUE`.
    pub(super) values: DType,
    pub(super) blocks: usize,
    /// Threads of a block.
    pub(super) threads: [u32; 2],
    pub(super) outputs: &'a [(Shape, DType)],
    pub(super) integers: &'a [usize],
    pub(super) floats: &'a [f32],
}
