//! CUDA devices by their own means: burn's tensors in a device's memory in, others there out.
//!
//! burn's kernels are put together at run time, and the fast ones are chosen by measuring: minutes before the first step of a large model, and not the
//! same choice in each run. So what a training spends its time in is done here, on a stream beside burn's ([`side`]): products of matrices by NVIDIA's
//! cuBLASLt ([`cublas`]), and kernels of our own (`kernels.cu`, [`launch`]). Where something that this needs is missing, burn computes what it can itself.

mod cublas;
mod launch;
mod operand;
mod side;

pub(super) use cublas::sum_of_products;
pub(super) use launch::{launch, launch_all};
pub(super) use operand::Operand;
