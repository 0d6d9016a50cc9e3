//! Products with a matrix that stays in 16 or 4 bits. Takes activations `[places, in]` and a matrix `[out, in]`; gives `[places, out]`.
//!
//! A block of the matrix is converted to f32 for its part of the product, in the forward pass and again in the backward pass, and then
//! dropped, so that the graph has no values of it. Blocks are whole rows in the forward pass and whole columns in the backward pass, so that each
//! element of a product is a single sum, with the same bits as by the whole matrix.

use burn::{
    backend::{Flex, ops::FloatTensorOps as _},
    tensor::{Device, Tensor, TensorData},
};
use burn_flex::FlexTensor;

use super::{
    adapted::{Branch, adapted},
    cpu::{
        operation::{Input, Operation, apply, contiguous, elements, tensor},
        product::product,
    },
    linear::linear,
};
use crate::models::weights::frozen::{Frozen, round};

/// Values that are converted to f32 at a time (4 MiB), unless blocks would be too narrow.
const BLOCK: usize = 1 << 20;

/// Returns the largest number of values of a matrix of this shape that are converted to f32 at a time. A small matrix is converted whole.
pub(crate) fn block_of(shape: &[usize]) -> u64 {
    let longest = shape.iter().max().copied().unwrap_or(0) as u64;
    longest.saturating_mul(128).max(BLOCK as u64)
}

/// Returns the smallest number of a block's rows or columns. Narrower products are slow, and sum in another order, since `gemm` has special
/// cases for results of up to 256 elements, or of up to 64 rows and columns.
fn narrowest(places: usize) -> usize {
    (256 / places.max(1) + 1).max(128)
}

/// A matrix that is not trained, and how products use it.
#[derive(Clone, Debug)]
pub(crate) struct FrozenMatrix {
    pub(crate) weight: Frozen,
    /// Whether its values are rounded to bfloat16 first.
    pub(crate) half: bool,
    /// Number of values of a block; tests use others.
    pub(crate) block: usize,
}

impl FrozenMatrix {
    pub(crate) fn new(weight: Frozen, half: bool) -> Self {
        Self { weight, half, block: BLOCK }
    }

    /// Returns the whole matrix.
    pub(crate) fn dense(&self, device: &Device) -> Tensor<2> {
        let shape = self.weight.matrix_shape();
        Tensor::from_data(TensorData::new(self.part([0, shape[0]], [0, shape[1]]), shape), device)
    }

    /// Returns the values of ranges of rows and columns, each from its first number to before its second.
    fn part(&self, rows: [usize; 2], columns: [usize; 2]) -> Vec<f32> {
        let [_, into] = self.weight.matrix_shape();
        let width = columns[1] - columns[0];
        let mut values = vec![0.0; (rows[1] - rows[0]) * width];
        if width == into {
            self.weight.unpack(rows[0] * into, &mut values);
        } else {
            for (row, values) in (rows[0]..rows[1]).zip(values.chunks_exact_mut(width)) {
                self.weight.unpack(row * into + columns[0], values);
            }
        }
        if self.half {
            round(&mut values);
        }
        values
    }

    /// Splits `count` rows or columns of `length` values into even ranges.
    fn blocks(&self, count: usize, length: usize, narrowest: usize) -> impl Iterator<Item = [usize; 2]> + use<> {
        let most = (self.block / length.max(1)).max(1);
        let number = count.div_ceil(most).min(count / narrowest).max(1);
        let size = count.div_ceil(number).max(1);
        (0..count).step_by(size).map(move |start| [start, (start + size).min(count)])
    }

    /// Multiplies by the transposed matrix: `[places, in]` to `[places, out]`.
    fn forward(&self, input: &FlexTensor) -> FlexTensor {
        let [out, into] = self.weight.matrix_shape();
        let places = input.layout().shape()[0];
        beside(places, out, self.blocks(out, into, narrowest(places)), |rows| {
            let block = tensor(self.part(rows, [0, into]), [rows[1] - rows[0], into]);
            product(input.clone(), block)
        })
    }

    /// Multiplies by the matrix: `[places, out]` to `[places, in]`.
    fn backward(&self, gradient: &FlexTensor) -> FlexTensor {
        let [out, into] = self.weight.matrix_shape();
        let places = gradient.layout().shape()[0];
        beside(places, into, self.blocks(into, out, narrowest(places)), |columns| {
            let block = tensor(self.part([0, out], columns), [out, columns[1] - columns[0]]);
            Flex::float_matmul(gradient.clone(), block)
        })
    }
}

/// Puts products of `places` rows side by side, into `width` columns.
fn beside(
    places: usize,
    width: usize,
    ranges: impl Iterator<Item = [usize; 2]>,
    product: impl Fn([usize; 2]) -> FlexTensor,
) -> FlexTensor {
    let mut ranges = ranges.peekable();
    if ranges.peek().is_none_or(|range| *range == [0, width]) {
        return product([0, width]);
    }
    let mut whole = vec![0.0; places * width];
    for [start, end] in ranges {
        let block = contiguous(product([start, end]));
        for (whole, block) in whole.chunks_exact_mut(width).zip(elements(&block).chunks_exact(end - start)) {
            whole[start..end].copy_from_slice(block);
        }
    }
    tensor(whole, [places, width])
}

impl Operation<1> for FrozenMatrix {
    type Saved = ();

    fn forward(&self, [input]: [FlexTensor; 1]) -> (FlexTensor, ()) {
        (Self::forward(self, &input), ())
    }

    fn backward(&self, (): (), gradient: FlexTensor, wanted: [bool; 1]) -> [Option<FlexTensor>; 1] {
        [wanted[0].then(|| Self::backward(self, &gradient))]
    }
}

/// A matrix that is not trained, with a side branch of low rank.
#[derive(Clone, Debug)]
struct FrozenAdapted {
    matrix: FrozenMatrix,
    branch: Branch,
}

impl Operation<3> for FrozenAdapted {
    type Saved = [FlexTensor; 4];

    fn forward(&self, [input, first, second]: [FlexTensor; 3]) -> (FlexTensor, Self::Saved) {
        self.branch.forward(self.matrix.forward(&input), [input, first, second])
    }

    fn backward(&self, saved: Self::Saved, gradient: FlexTensor, wanted: [bool; 3]) -> [Option<FlexTensor>; 3] {
        self.branch.backward(saved, gradient, wanted, |gradient| self.matrix.backward(gradient))
    }
}

/// A matrix as a factor of products.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "it lives for one product")]
pub(crate) enum Matrix {
    Dense(Tensor<2>),
    Frozen(FrozenMatrix),
}

impl Matrix {
    /// Multiplies by the matrix as Hugging Face stores it: `input * matrixᵀ`.
    pub(crate) fn multiply(&self, input: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Dense(weight) => linear(input, weight.clone()),
            Self::Frozen(matrix) => {
                let Some(memory) = Input::of(&input) else {
                    let weight = matrix.dense(&input.device());
                    return linear(input, weight);
                };
                apply(matrix.clone(), [memory])
            }
        }
    }

    /// Multiplies by `matrix + scale * second * first` without computing that matrix.
    pub(crate) fn adapted(&self, input: Tensor<2>, factors: [Tensor<2>; 2], scale: f64) -> Tensor<2> {
        let weight = match self {
            Self::Dense(weight) => weight.clone(),
            Self::Frozen(matrix) => match (Input::of(&input), Input::of(&factors[0]), Input::of(&factors[1])) {
                (Some(input), Some(first), Some(second)) => {
                    let branch = Branch { scale: scale as f32 };
                    return apply(FrozenAdapted { matrix: matrix.clone(), branch }, [input, first, second]);
                }
                _ => matrix.dense(&input.device()),
            },
        };
        adapted(input, weight, factors, scale)
    }

    /// Returns the matrix as a tensor.
    pub(crate) fn dense(&self, device: &Device) -> Tensor<2> {
        match self {
            Self::Dense(weight) => weight.clone(),
            Self::Frozen(matrix) => matrix.dense(device),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::models::fused::tests::Random;
    use crate::models::weights::frozen::Half;
    use crate::models::weights::frozen::tests::half_of;
    use crate::models::weights::nf4::Nf4Matrix;

    fn bits(tensor: &Tensor<2>) -> Vec<u32> {
        let values = tensor.clone().into_data().try_into_vec::<f32>().unwrap();
        values.into_iter().map(f32::to_bits).collect()
    }

    /// Returns the output, and the gradients of the leaves by a sum in which each element has another weight.
    fn learned<const N: usize>(
        leaves: &[Tensor<2>; N],
        function: impl Fn([Tensor<2>; N]) -> Tensor<2>,
    ) -> (Vec<u32>, Vec<Vec<u32>>) {
        let leaves = leaves.clone().map(|leaf| leaf.autodiff().require_grad());
        let output = function(leaves.clone());
        let weights = Random(5).tensor(output.dims()).autodiff();
        let gradients = (output.clone() * weights).sum().backward();
        (bits(&output.inner()), leaves.iter().map(|leaf| bits(&leaf.grad(&gradients).unwrap())).collect())
    }

    #[test]
    fn products_by_blocks_are_those_of_the_whole_in_every_bit() {
        let device = Device::flex();
        for [places, out, into] in [[1, 1300, 700], [3, 40, 24], [2, 1100, 700], [70, 1300, 1030], [130, 1500, 260]] {
            let mut random = Random(3);
            let values = random.tensor([out, into]).into_data().try_into_vec::<f32>().unwrap();
            let (input, first, second) = (random.tensor([places, into]), random.tensor([2, into]), random.tensor([out, 2]));
            let nf4 =
                Nf4Matrix::of_weight([out, into], true, |start, part| part.copy_from_slice(&values[start..start + part.len()]));
            let kinds = [
                half_of(&values, &[out, into], Half::Bf16),
                half_of(&values, &[out, into], Half::F16),
                Frozen::Nf4(Arc::new(nf4)),
            ];
            for (weight, half) in kinds.into_iter().flat_map(|kind| [(kind.clone(), false), (kind, true)]) {
                // A block of one value asks for the narrowest possible blocks.
                let matrix = Matrix::Frozen(FrozenMatrix { weight, half, block: 1 });
                let dense = Matrix::Dense(matrix.dense(&device));
                let case = format!("{places} places, {out} by {into}, {half}");
                let once = |matrix: &Matrix| learned(std::array::from_ref(&input), |[input]| matrix.multiply(input));
                assert!(once(&matrix) == once(&dense), "{case}");
                let leaves = [input.clone(), first.clone(), second.clone()];
                let adapted =
                    |matrix: &Matrix| learned(&leaves, |[input, first, second]| matrix.adapted(input, [first, second], 1.5));
                assert!(adapted(&matrix) == adapted(&dense), "{case}, adapted");
                assert!(bits(&matrix.multiply(input.clone())) == once(&dense).0, "{case}, without a graph");
            }
        }
    }

    #[test]
    fn blocks_are_even_and_leave_nothing_out() {
        let weight = half_of(&[1.0], &[1, 1], Half::Bf16);
        let matrix = FrozenMatrix { weight, half: false, block: 1 << 22 };
        let blocks: Vec<_> = matrix.blocks(256_000, 2048, 512).collect();
        assert!(blocks.iter().all(|[start, end]| (end - start) * 2048 <= 1 << 22 && end - start > 1900));
        assert!(blocks.windows(2).all(|pair| pair[0][1] == pair[1][0]));
        assert_eq!([blocks[0][0], blocks[blocks.len() - 1][1]], [0, 256_000]);
        assert_eq!(matrix.blocks(300, 1 << 30, 128).collect::<Vec<_>>(), [[0, 150], [150, 300]]);
    }
}
