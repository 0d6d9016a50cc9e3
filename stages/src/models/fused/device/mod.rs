//! Operations on devices whose memory this program does not access. Takes tensors; gives tensors.
//!
//! This file calls our kernels, a function for each. A function returns nothing if the device has no such kernel, and then its caller
//! computes with burn's operations. Read `kernel` (a call) and this file first, then `formula` (an operation with a backward pass), then
//! the operations: `multiply` (products), `gate` and `gated` (feed-forward blocks) and `attention`.

pub(crate) mod attention;
pub(crate) mod formula;
pub(crate) mod gate;
pub(crate) mod gated;
pub(crate) mod kernel;
pub(crate) mod multiply;

use burn::tensor::{DType, Int, Tensor};

use super::cuda::{Operand, launch, launch_all};
use gate::Gate;
use kernel::Launch;

/// Threads of a block, as in `kernels.cu`.
const THREADS: u32 = 256;

/// Lines of a block in attention, and the threads of each line.
const LINES: usize = 4;
const LANES: u32 = 32;

/// Blocks that sum squares, each of one part.
const PARTS: usize = 32;

/// Bytes that a thread reads at once.
const AT_ONCE: usize = 16;

/// Number of figures of a prediction, in the order of the kernel `prediction_figures`.
pub(crate) const FIGURES: usize = 7;

/// How scores become attention probabilities.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scoring {
    /// Number of query heads.
    pub(super) heads: usize,
    pub(super) scale: f64,
    /// Soft cap of the scores: `cap * tanh(scores / cap)`.
    pub(super) softcap: Option<f64>,
}

impl Scoring {
    /// Returns the number of blocks, the integers and the floats of attention's kernels, for scores `[rows, groups, heads / groups * width,
    /// total]` and a mask `[1 or rows, 1, width, total]`.
    fn told(self, scores: &Tensor<4>, mask: &Tensor<4>) -> (usize, [usize; 5], [f32; 2]) {
        let ([rows, groups, lines, total], [masks, _, width, _]) = (scores.dims(), mask.dims());
        let lines = rows * groups * lines;
        let factors = [self.scale, self.softcap.unwrap_or(0.0)].map(|factor| factor as f32);
        (lines.div_ceil(LINES), [lines, masks, self.heads, width, total], factors)
    }
}

/// Returns the attention probabilities of the products of queries and keys.
pub(super) fn attention_shares(scores: &Tensor<4>, mask: &Tensor<4>, scoring: Scoring) -> Option<Tensor<4>> {
    let (blocks, integers, floats) = scoring.told(scores, mask);
    let call = Launch {
        kernel: "attention_shares",
        values: scores.dtype(),
        blocks,
        threads: [LANES, LINES as u32],
        outputs: &[(scores.shape(), scores.dtype())],
        integers: &integers,
        floats: &floats,
    };
    let [shares] = launch(call, vec![Operand::of(scores)?, Operand::of(mask)?])?;
    Some(shares.into_tensor())
}

/// Returns the attention probabilities, and the gradient of the products from that of the probabilities.
pub(super) fn attention_slopes(
    scores: &Tensor<4>,
    mask: &Tensor<4>,
    of_shares: &Tensor<4>,
    scoring: Scoring,
) -> Option<[Tensor<4>; 2]> {
    let (blocks, integers, floats) = scoring.told(scores, mask);
    let like = (scores.shape(), scores.dtype());
    let call = Launch {
        kernel: "attention_slopes",
        values: scores.dtype(),
        blocks,
        threads: [LANES, LINES as u32],
        outputs: &[like.clone(), like],
        integers: &integers,
        floats: &floats,
    };
    let found: [Operand; 2] = launch(call, vec![Operand::of(scores)?, Operand::of(mask)?, Operand::of(of_shares)?])?;
    Some(found.map(Operand::into_tensor))
}

/// Computes the figures of predictions, `[targets, FIGURES]`, from logits `[targets, vocabulary]` and tokens `[targets, 1]`.
pub(crate) fn prediction_figures(logits: &Tensor<2>, tokens: &Tensor<2, Int>) -> Option<Tensor<2>> {
    let [targets, vocabulary] = logits.dims();
    let call = Launch {
        kernel: "prediction_figures",
        values: logits.dtype(),
        blocks: targets,
        threads: [THREADS, 1],
        outputs: &[([targets, FIGURES].into(), DType::F32)],
        integers: &[vocabulary],
        floats: &[],
    };
    let [figures] = launch(call, vec![Operand::of(logits)?, Operand::of(tokens)?])?;
    Some(figures.into_tensor())
}

/// Computes the gradient of logits from that of the tokens' log-probabilities, `[targets, 1]`.
pub(crate) fn prediction_slopes(
    logits: &Tensor<2>,
    tokens: &Tensor<2, Int>,
    figures: &Tensor<2>,
    slopes: &Tensor<2>,
) -> Option<Tensor<2>> {
    let [targets, vocabulary] = logits.dims();
    let call = Launch {
        kernel: "prediction_slopes",
        values: logits.dtype(),
        blocks: targets,
        threads: [THREADS, 1],
        outputs: &[(logits.shape(), logits.dtype())],
        integers: &[vocabulary],
        floats: &[],
    };
    let inputs = vec![Operand::of(logits)?, Operand::of(tokens)?, Operand::of(figures)?, Operand::of(slopes)?];
    let [of_logits] = launch(call, inputs)?;
    Some(of_logits.into_tensor())
}

/// Returns whether the kernels run on a CUDA device: compiles them, and computes a sum by one of them.
#[cfg(feature = "cuda")]
pub(crate) fn works(device: &burn::tensor::Device) -> bool {
    let values = Tensor::<1>::from_data([3.0, 4.0], device);
    let sums = squares(&[&values]).and_then(|sums| sums.into_data().try_into_vec::<f32>().ok());
    sums.is_some_and(|sums| sums.iter().sum::<f32>() == 25.0)
}

/// Returns the number of blocks for `count` values, if each thread has 16 bytes of them.
fn packs(count: usize, dtype: DType) -> usize {
    count.div_ceil(AT_ONCE / dtype.size()).div_ceil(THREADS as usize)
}

/// Multiplies values by a function of the gate. Gate, values and output are of one type.
pub(super) fn gate_forward(gate: &Tensor<2>, value: &Tensor<2>, kind: Gate) -> Option<Tensor<2>> {
    let count = gate.shape().num_elements();
    let call = Launch {
        kernel: "gate_forward",
        values: gate.dtype(),
        blocks: packs(count, gate.dtype()),
        threads: [THREADS, 1],
        outputs: &[(gate.shape(), gate.dtype())],
        integers: &[count, kind as usize],
        floats: &[],
    };
    let [output] = launch(call, vec![Operand::of(gate)?, Operand::of(value)?])?;
    Some(output.into_tensor())
}

/// Computes the gradients of gate and value.
pub(super) fn gate_backward(gate: &Tensor<2>, value: &Tensor<2>, gradient: &Tensor<2>, kind: Gate) -> Option<[Tensor<2>; 2]> {
    let count = gate.shape().num_elements();
    let like = (gate.shape(), gate.dtype());
    let call = Launch {
        kernel: "gate_backward",
        values: gate.dtype(),
        blocks: packs(count, gate.dtype()),
        threads: [THREADS, 1],
        outputs: &[like.clone(), like],
        integers: &[count, kind as usize],
        floats: &[],
    };
    let found: [Operand; 2] = launch(call, vec![Operand::of(gate)?, Operand::of(value)?, Operand::of(gradient)?])?;
    Some(found.map(Operand::into_tensor))
}

/// Scales places `[places, size]` to root mean square 1 and multiplies by `[1, size]`. Returns their inverse root mean squares, `[places,
/// 1]`, too.
pub(super) fn norm_forward(input: &Tensor<2>, weight: &Tensor<2>, epsilon: f64) -> Option<[Tensor<2>; 2]> {
    let [places, size] = input.dims();
    let call = Launch {
        kernel: "norm_forward",
        values: input.dtype(),
        blocks: places,
        threads: [THREADS, 1],
        outputs: &[(input.shape(), input.dtype()), ([places, 1].into(), input.dtype())],
        integers: &[size],
        floats: &[epsilon as f32],
    };
    let found: [Operand; 2] = launch(call, vec![Operand::of(input)?, Operand::of(weight)?])?;
    Some(found.map(Operand::into_tensor))
}

/// Computes the gradient of the norm's input.
pub(super) fn norm_backward(
    input: &Tensor<2>,
    weight: &Tensor<2>,
    inverse: &Tensor<2>,
    gradient: &Tensor<2>,
) -> Option<Tensor<2>> {
    let [places, size] = input.dims();
    let call = Launch {
        kernel: "norm_backward",
        values: input.dtype(),
        blocks: places,
        threads: [THREADS, 1],
        outputs: &[(input.shape(), input.dtype())],
        integers: &[size],
        floats: &[],
    };
    let inputs = vec![Operand::of(input)?, Operand::of(weight)?, Operand::of(inverse)?, Operand::of(gradient)?];
    let [of_input] = launch(call, inputs)?;
    Some(of_input.into_tensor())
}

/// Rotates pairs of elements of heads `[rows, width, heads, size]` by angles `[rows, width, 1, half]`, or back.
pub(super) fn rotate(heads: &Tensor<4>, [cosine, sine]: [&Tensor<4>; 2], back: bool) -> Option<Tensor<4>> {
    let ([_, _, count, size], half) = (heads.dims(), cosine.dims()[3]);
    let elements = heads.shape().num_elements();
    let call = Launch {
        kernel: "rotate",
        values: heads.dtype(),
        blocks: elements.div_ceil(THREADS as usize),
        threads: [THREADS, 1],
        outputs: &[(heads.shape(), heads.dtype())],
        integers: &[elements, count, size, half],
        floats: &[if back { -1.0 } else { 1.0 }],
    };
    let [turned] = launch(call, vec![Operand::of(heads)?, Operand::of(cosine)?, Operand::of(sine)?])?;
    Some(turned.into_tensor())
}

/// Sums the squares of the values of all tensors, in parts for each tensor.
pub(crate) fn squares(tensors: &[&Tensor<1>]) -> Option<Tensor<1>> {
    let sums = Tensor::<1>::zeros([tensors.len() * PARTS], &tensors.first()?.device());
    let integers: Vec<_> = tensors.iter().enumerate().map(|(index, tensor)| [tensor.dims()[0], index * PARTS]).collect();
    let call = |index: usize| {
        let call = Launch {
            kernel: "squares",
            values: DType::F32,
            blocks: PARTS,
            threads: [THREADS, 1],
            outputs: &[],
            integers: &integers[index],
            floats: &[],
        };
        Some((call, vec![Operand::of(tensors[index])?, Operand::of(&sums)?]))
    };
    launch_all::<0>((0..tensors.len()).map(call).collect::<Option<Vec<_>>>()?)?;
    Some(sums)
}

/// Computes the factor that clips gradients with these squares to a norm of at most `most` (0: any), `[1]`. It is NaN if the norm is not finite.
pub(crate) fn clipping(squares: &Tensor<1>, most: f64) -> Option<Tensor<1>> {
    let call = Launch {
        kernel: "clipping",
        values: DType::F32,
        blocks: 1,
        threads: [THREADS, 1],
        outputs: &[([1].into(), DType::F32)],
        integers: &[squares.dims()[0]],
        floats: &[most as f32],
    };
    let [factor] = launch(call, vec![Operand::of(squares)?])?;
    Some(factor.into_tensor())
}

/// The tensors of one weight in a step of `AdamW` (values, gradient and both averages), and the coefficients of `kernels.cu`.
pub(crate) struct AdamWStep<'a> {
    pub(crate) values: [&'a Tensor<1>; 4],
    pub(crate) numbers: [f32; 6],
}

/// Computes a step of `AdamW`, with gradients multiplied by a factor that is on the device. Returns the values and both averages of each
/// weight, which are unchanged if the factor is NaN.
pub(crate) fn adamw(steps: &[AdamWStep<'_>], factor: &Tensor<1>) -> Option<Vec<[Tensor<1>; 3]>> {
    let outputs: Vec<_> = steps.iter().map(|step| [0; 3].map(|_| (step.values[0].shape(), DType::F32))).collect();
    let integers: Vec<_> = steps.iter().map(|step| [step.values[0].dims()[0]]).collect();
    let call = |index: usize| {
        let call = Launch {
            kernel: "adamw",
            values: DType::F32,
            blocks: integers[index][0].div_ceil(THREADS as usize),
            threads: [THREADS, 1],
            outputs: &outputs[index],
            integers: &integers[index],
            floats: &steps[index].numbers,
        };
        let values = steps[index].values.into_iter().chain([factor]);
        Some((call, values.map(Operand::of).collect::<Option<Vec<_>>>()?))
    };
    let found = launch_all::<3>((0..steps.len()).map(call).collect::<Option<Vec<_>>>()?)?;
    Some(found.into_iter().map(|values| values.map(Operand::into_tensor)).collect())
}

/// Dequantises codes to a matrix. Each word has eight codes of 4 bits, and each block has a scale.
pub(crate) fn nf4_values(
    words: &Tensor<2, Int>,
    scales: &Tensor<2>,
    table: &Tensor<1>,
    block_size: usize,
    shape: [usize; 2],
    dtype: DType,
) -> Option<Tensor<2>> {
    let count = shape[0] * shape[1];
    let call = Launch {
        kernel: "nf4_values",
        values: dtype,
        blocks: count.div_ceil(8).div_ceil(THREADS as usize),
        threads: [THREADS, 1],
        outputs: &[(shape.into(), dtype)],
        integers: &[count, block_size],
        floats: &[],
    };
    let [values] = launch(call, vec![Operand::of(words)?, Operand::of(scales)?, Operand::of(table)?])?;
    Some(values.into_tensor())
}
