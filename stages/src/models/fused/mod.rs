//! Operations that pass over memory once where burn's would pass many times. Takes tensors; gives tensors with a backward pass of their own.
//!
//! Read `linear` first: a whole operation with its backward pass. Each of the other files here is one more operation. `cpu` has what
//! they share on the processor (vectors, products of matrices). `device` computes on other devices, by kernels of our own or by burn's
//! operations with less memory for the backward pass, and `cuda` launches those kernels (`absent` takes its place without CUDA).
//!
//! Loops use the processor's widest vectors ([`cpu::lanes`]). Sums are computed in a fixed order and on one thread, so that no result depends
//! on the number of cores.
//!
//! # What was tried
//!
//! Measured by `cargo run --release --example training_speed -- tiny sft full 12` as CPU milliseconds a step (a machine with AVX-512,
//! shared with others, so that wall time says little): tiny 300 before, 184 after, with `LoRA` 241 and 158; small 5650 before, 4120 after.
//! Peak memory of small fell from 1650 to 925 MiB.
//!
//! - All operations of the first round together (norm, gate, rotation, attention, cross entropy, linear) took tiny from 300 to 201 and small
//!   from 5650 to 4290. They were not measured one by one.
//! - The last layer only at the wanted places, gradients in place, and `LoRA` as one operation: 207 to 184, with `LoRA` 170 to 158.
//! - Pages that the C library gives back to the kernel and takes again in each step are 10 to 15 % of tiny. With mimalloc as the
//!   program's allocator tiny fell from 184 to 160, with `LoRA` from 157 to 133, small did not change, and the peak of tiny rose from 127
//!   to 187 MiB, of small from 925 to 1020: too much for a gain with only the smallest models.
//! - What is left is products of matrices (half of tiny, 70 % of small, at about 110 GFLOP/s a core).
//! - `gemm` copies a transposed matrix into another order before it multiplies, which takes half of the time if the other factor has few rows,
//!   as in a routing decision: 87 rows by a `[1376, 512]` matrix came to 50 GFLOP/s, and to 89 by [`cpu::product`].
//! - Flex's products take transposed matrices without a copy. What was copied was the gradient of `weight.transpose()`, hence [`linear`].
//!
//! On a GPU, by `gpu_speed.rs cuda lora 8 1024 10` and `gpu_speed.py` beside it (gemma-2b's shapes in bfloat16, `LoRA` on all projections):
//!
//! - burn's fused kernels and its choice of kernels by measuring: no step was done after two minutes, most of them compilation, and single
//!   products were tried by kernels that took more than a second. So neither is built in.
//! - Products by cuBLASLt and kernels of our own for the gate, norms, rotation, attention's probabilities, predictions and `AdamW`: 0.235 s a
//!   step on an H200, 3.4 s to the first one.
//! - Queries, keys and values in bfloat16 between their products, attention's lines read 16 bytes at a time, all of `AdamW`'s kernels queued at
//!   once: 0.245 s on an H100.
//! - `AdamW` queued before the norm of the gradients is read, by a factor that is on the device: 0.227 and 0.233 s on an H100, where TRL took
//!   0.349 and 0.363 in turn with it.
//! - What is left: products whose time can be computed are half of a step. The largest of the rest are passes over the gate's wide activations
//!   (an adapter's product is added to them, and read for its gradients), then tables of attention's scores in memory.

mod adapted;
mod attention;
mod cpu;
mod cross_entropy;
#[cfg_attr(not(feature = "cuda"), path = "absent.rs")]
mod cuda;
mod device;
mod frozen;
mod gated;
mod inject_gradient;
mod linear;
mod rms_norm;
mod rotary;

pub(super) use attention::mix;
pub(crate) use cpu::product::with_threads;
pub(crate) use cross_entropy::log_probabilities;
pub(super) use device::attention::mix_on_device;
pub(super) use device::gate::Gate;
pub(super) use device::gated::gated_on_device;
pub(super) use device::multiply::product;
#[cfg(feature = "cuda")]
pub(super) use device::works;
pub(crate) use device::{AdamWStep, FIGURES, adamw, clipping, nf4_values, prediction_figures, prediction_slopes, squares};
pub(crate) use frozen::block_of;
pub(super) use frozen::{FrozenMatrix, Matrix};
pub(super) use gated::gated;
pub(crate) use inject_gradient::inject_gradient;
pub(super) use linear::linear;
pub(super) use rms_norm::rms_norm;
pub(super) use rotary::rotate;

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor, TensorData};

    /// A generator of numbers between -1 and 1, the same in each run.
    pub(super) struct Random(pub(super) u64);

    impl Random {
        pub(super) fn tensor<const D: usize>(&mut self, shape: [usize; D]) -> Tensor<D> {
            let mut number = || {
                self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (self.0 >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
            };
            let values: Vec<f32> = (0..shape.iter().product::<usize>()).map(|_| number()).collect();
            Tensor::from_data(TensorData::new(values, shape), &Device::flex())
        }
    }

    fn values(tensor: &Tensor<2>) -> Vec<f32> {
        tensor.clone().into_data().try_into_vec().unwrap()
    }

    /// Returns a sum of the output in which each element has another weight.
    fn weighted(output: &Tensor<2>) -> f64 {
        let weights = values(&Random(9).tensor(output.dims()));
        values(output).iter().zip(weights).map(|(output, weight)| f64::from(*output) * f64::from(weight)).sum()
    }

    /// Runs a function with leaves. Returns its values and the gradients of its weighted sum.
    fn gradients<const N: usize>(
        inputs: &[Tensor<2>; N],
        function: &dyn Fn([Tensor<2>; N]) -> Tensor<2>,
    ) -> (Tensor<2>, [Vec<f32>; N]) {
        let leaves = inputs.clone().map(|input| input.autodiff().require_grad());
        let output = function(leaves.clone());
        let weights = Random(9).tensor(output.dims()).autodiff();
        let gradients = (output.clone() * weights).sum().backward();
        (output.inner(), leaves.map(|leaf| values(&leaf.grad(&gradients).unwrap())))
    }

    /// Compares an operation with the formula that it implements, and its gradients with finite differences of its values.
    pub(super) fn agree<const N: usize>(
        inputs: [Tensor<2>; N],
        fused: impl Fn([Tensor<2>; N]) -> Tensor<2>,
        composed: impl Fn([Tensor<2>; N]) -> Tensor<2>,
    ) {
        let (output, found) = gradients(&inputs, &fused);
        let (expected_output, expected) = gradients(&inputs, &composed);
        let plain = values(&fused(inputs.clone()));
        assert_eq!(plain, values(&output), "with and without a graph");
        let near = |found: &[f32], expected: &[f32], what: &str| {
            let largest = expected.iter().fold(1e-3_f32, |most, value| most.max(value.abs()));
            assert_eq!(found.len(), expected.len());
            for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
                assert!((found - expected).abs() < 2e-5 * largest, "{what} {index}: {found} {expected}");
            }
        };
        near(&plain, &values(&expected_output), "value");
        for input in 0..N {
            near(&found[input], &expected[input], &format!("gradient of input {input}, at"));
            differences(&inputs, input, &fused, &found[input]);
        }
    }

    /// Compares some gradients with central differences, whose error is that of f32 values over the step, plus that of the step squared.
    fn differences<const N: usize>(
        inputs: &[Tensor<2>; N],
        input: usize,
        function: &dyn Fn([Tensor<2>; N]) -> Tensor<2>,
        found: &[f32],
    ) {
        let step = 1.0 / 128.0;
        let moved = |index: usize, by: f32| {
            let mut moved = inputs.clone();
            let shape = moved[input].dims();
            let mut values = values(&moved[input]);
            values[index] += by;
            moved[input] = Tensor::from_data(TensorData::new(values, shape), &Device::flex());
            weighted(&function(moved))
        };
        let largest = found.iter().fold(0.1_f32, |most, value| most.max(value.abs()));
        for index in (0..found.len()).step_by(found.len().div_ceil(20)) {
            let difference = (moved(index, step) - moved(index, -step)) / (2.0 * f64::from(step));
            let error = (difference - f64::from(found[index])).abs();
            assert!(error < 4e-3 * f64::from(largest), "difference at {index} of input {input}: {difference} {}", found[index]);
        }
    }
}
