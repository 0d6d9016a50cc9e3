//! The product with a matrix as Hugging Face stores it. Takes rows `[places, in]` and `[out, in]`; gives `[places, out]`.
//!
//! Both factors are read along their rows, and neither is copied into another order first. Each element is summed in a fixed order, so that it
//! depends neither on the other elements nor on the number of threads.

#![expect(clippy::inline_always, reason = "what is not inlined is compiled for the oldest processor")]

use std::{cell::Cell, thread};

use burn::backend::{Flex, ops::FloatTensorOps as _};
use burn_flex::FlexTensor;
use pulp::{Arch, Simd, WithSimd};

use super::operation::{contiguous, elements, tensor};

/// Rows of the input and of the matrix that are multiplied at once: as many sums as fit into the processor's registers.
const TALL: usize = 4;
const WIDE: usize = 6;

/// Rows of the input for which the whole matrix is read before the next ones: few enough to stay in the processor's cache.
const PANEL: usize = 16 * TALL;

/// Smallest number of a row's elements: below it, adding the lanes of a sum costs more than `gemm`'s copy of its factors.
const LEAST: usize = 128;

/// Largest number of the input's rows: above it, `gemm`'s copy of its factors costs little beside the product.
const MOST: usize = 256;

/// Smallest number of multiplications for which a thread is worth its cost.
const THREAD: usize = 1 << 21;

thread_local! {
    static THREADS: Cell<usize> = const { Cell::new(1) };
}

/// Lets each product in `run` use this many threads, which changes no bit of the results.
pub(crate) fn with_threads<R>(threads: usize, run: impl FnOnce() -> R) -> R {
    let before = THREADS.replace(threads);
    let result = run();
    THREADS.set(before);
    result
}

/// Multiplies `input` by the transpose of `weight`.
pub(crate) fn product(input: FlexTensor, weight: FlexTensor) -> FlexTensor {
    let ([places, size], [out, _]) = (input.layout().shape().dims::<2>(), weight.layout().shape().dims::<2>());
    if size < LEAST || places > MOST {
        return Flex::float_matmul(input, Flex::float_transpose(weight));
    }
    let (input, weight) = (contiguous(input), contiguous(weight));
    let (input, weight) = (elements(&input), elements(&weight));
    let mut output = vec![0.0; places * out];
    let multiply = |input, output| Arch::new().dispatch(Product { input, weight, size, out, output });
    let threads = THREADS.get().min(places * out * size / THREAD).max(1);
    let part = places.div_ceil(threads).next_multiple_of(TALL);
    let mut parts = input.chunks(part * size).zip(output.chunks_mut(part * out));
    thread::scope(|scope| {
        let first = parts.next();
        for (input, output) in parts {
            scope.spawn(|| multiply(input, output));
        }
        if let Some((input, output)) = first {
            multiply(input, output);
        }
    });
    tensor(output, [places, out])
}

struct Product<'a> {
    input: &'a [f32],
    weight: &'a [f32],
    /// Number of elements of a row of both factors.
    size: usize,
    /// Number of rows of the matrix.
    out: usize,
    output: &'a mut [f32],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { input, weight, size, out, output } = self;
        for (input, output) in input.chunks(PANEL * size).zip(output.chunks_mut(PANEL * out)) {
            for (group, weight) in weight.chunks(WIDE * size).enumerate() {
                let column = group * WIDE;
                for (input, output) in input.chunks(TALL * size).zip(output.chunks_mut(TALL * out)) {
                    block(simd, input, weight, size, &mut output[column..], out);
                }
            }
        }
    }
}

/// Multiplies up to [`TALL`] rows by up to [`WIDE`].
#[inline(always)]
fn block<S: Simd>(simd: S, input: &[f32], weight: &[f32], size: usize, output: &mut [f32], out: usize) {
    match (input.len() == TALL * size, weight.len() == WIDE * size) {
        (true, true) => sums::<S, TALL, WIDE>(simd, input, weight, size, output, out),
        (false, true) => {
            for (input, output) in input.chunks(size).zip(output.chunks_mut(out)) {
                sums::<S, 1, WIDE>(simd, input, weight, size, output, out);
            }
        }
        (_, false) => {
            for (input, output) in input.chunks(size).zip(output.chunks_mut(out)) {
                for (weight, output) in weight.chunks(size).zip(output.chunks_mut(1)) {
                    sums::<S, 1, 1>(simd, input, weight, size, output, out);
                }
            }
        }
    }
}

/// Multiplies `ROWS` rows by `COLUMNS` rows; the output's rows are `out` elements apart.
#[inline(always)]
fn sums<S: Simd, const ROWS: usize, const COLUMNS: usize>(
    simd: S,
    input: &[f32],
    weight: &[f32],
    size: usize,
    output: &mut [f32],
    out: usize,
) {
    let vectors = size / S::F32_LANES;
    // All slices have the same known length, so that the loop below checks no bounds.
    let mut rows: [&[S::f32s]; ROWS] = [&[]; ROWS];
    for (index, row) in rows.iter_mut().enumerate() {
        *row = &S::as_simd_f32s(&input[index * size..][..size]).0[..vectors];
    }
    let mut columns: [&[S::f32s]; COLUMNS] = [&[]; COLUMNS];
    for (index, column) in columns.iter_mut().enumerate() {
        *column = &S::as_simd_f32s(&weight[index * size..][..size]).0[..vectors];
    }
    let mut sums = [[simd.splat_f32s(0.0); COLUMNS]; ROWS];
    for at in 0..vectors {
        for row in 0..ROWS {
            let left = rows[row][at];
            for column in 0..COLUMNS {
                sums[row][column] = simd.mul_add_f32s(left, columns[column][at], sums[row][column]);
            }
        }
    }
    for row in 0..ROWS {
        for column in 0..COLUMNS {
            let rest = vectors * S::F32_LANES..size;
            let (left, right) = (&input[row * size..][rest.clone()], &weight[column * size..][rest]);
            let rest: f32 = left.iter().zip(right).map(|(left, right)| left * right).sum();
            output[row * out + column] = simd.reduce_sum_f32s(sums[row][column]) + rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;

    use super::*;
    use crate::models::fused::tests::Random;

    fn memory(tensor: &Tensor<2>) -> FlexTensor {
        tensor.clone().try_into_primitive::<Flex>().unwrap()
    }

    fn values(tensor: FlexTensor) -> Vec<f32> {
        elements(&contiguous(tensor)).to_vec()
    }

    #[test]
    fn values_are_those_of_the_formula_at_every_edge() {
        let mut random = Random(11);
        for places in [1, 3, 4, 5, 9] {
            for out in [1, 5, 6, 7, 47, 55] {
                for size in [LEAST - 1, LEAST, LEAST + 13] {
                    let [input, weight] = [random.tensor([places, size]), random.tensor([out, size])];
                    let expected = values(memory(&input.clone().matmul(weight.clone().transpose())));
                    let found = values(product(memory(&input), memory(&weight)));
                    assert_eq!(found.len(), expected.len());
                    for (found, expected) in found.iter().zip(expected) {
                        assert!((found - expected).abs() < 2e-5, "[{places}, {size}] by [{out}, {size}]: {found} {expected}");
                    }
                }
            }
        }
    }

    #[test]
    fn neither_threads_nor_neighbours_change_a_bit() {
        let mut random = Random(12);
        let [input, weight] = [random.tensor([90, 300]), random.tensor([301, 300])];
        const { assert!(90 * 300 * 301 / THREAD > 2, "more than one thread is worth it") };
        let alone = values(product(memory(&input), memory(&weight)));
        for threads in [2, 3] {
            let together = with_threads(threads, || product(memory(&input), memory(&weight)));
            assert_eq!(values(together), alone);
        }
        let few = input.narrow(0, 7, 3);
        assert_eq!(values(product(memory(&few), memory(&weight))), alone[7 * 301..10 * 301]);
    }
}
