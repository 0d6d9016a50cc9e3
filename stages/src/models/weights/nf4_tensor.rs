//! NF4 on another device than the processor. Takes a matrix in NF4; gives its codes on the device, and a dense matrix for each use.
//!
//! Codes stay on the device in 4 bits, eight in one 32-bit integer, which every device supports. Only the dense matrix of one use takes
//! more memory.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::nf4::Nf4Matrix;
use crate::models::fused::nf4_values;

/// Number of codes in one integer, and number of bits of a code.
const CODES: usize = 8;
const BITS: i32 = 4;

/// A matrix in 4 bits on a device, with its scales in f32.
#[derive(Clone, Debug)]
pub struct Nf4Tensor {
    /// `[out, in]`.
    shape: [usize; 2],
    /// `[codes / 8, 1]`, with the first code in the lowest bits. Blocks are filled up, so that the last codes may have no value.
    codes: Tensor<2, Int>,
    /// `[blocks, 1]`.
    absmax: Tensor<2>,
    /// The values of the 16 codes.
    table: Tensor<1>,
    block_size: usize,
}

impl Nf4Tensor {
    /// Copies a matrix to a device.
    pub(crate) fn new(matrix: &Nf4Matrix, device: &Device) -> Self {
        let blocks = (matrix.shape[0] * matrix.shape[1]).div_ceil(matrix.block_size);
        let absmax: Vec<f32> = (0..blocks).map(|block| matrix.scales.at(block)).collect();
        let words = (blocks * matrix.block_size).div_ceil(CODES);
        let mut codes = vec![0_i32; words];
        for (word, bytes) in codes.iter_mut().zip(matrix.packed.chunks(CODES / 2)) {
            for (index, byte) in bytes.iter().enumerate() {
                // The first of a byte's two codes is in its high half.
                let pair = i32::from(byte >> BITS | byte << BITS);
                *word |= pair << (2 * BITS * index as i32);
            }
        }
        Self {
            shape: matrix.shape,
            codes: Tensor::from_data(TensorData::new(codes, [words, 1]), (device, DType::I32)),
            absmax: Tensor::from_data(TensorData::new(absmax, [blocks, 1]), device),
            table: Tensor::from_data(TensorData::new(matrix.table.to_vec(), [matrix.table.len()]), device),
            block_size: matrix.block_size,
        }
    }

    /// Returns the shape, `[out, in]`.
    pub(crate) fn shape(&self) -> [usize; 2] {
        self.shape
    }

    /// Returns the matrix on another device.
    pub(crate) fn on(self, device: &Device) -> Self {
        Self {
            codes: self.codes.to_device(device),
            absmax: self.absmax.to_device(device),
            table: self.table.to_device(device),
            ..self
        }
    }

    /// Returns the values of the codes, `[out, in]`.
    pub(crate) fn dense(&self, dtype: DType) -> Tensor<2> {
        nf4_values(&self.codes, &self.absmax, &self.table, self.block_size, self.shape, dtype)
            .unwrap_or_else(|| self.composed(dtype))
    }

    fn composed(&self, dtype: DType) -> Tensor<2> {
        let words = self.codes.dims()[0];
        let shifts: Vec<i32> = (0..CODES as i32).map(|index| index * BITS).collect();
        let shifts = Tensor::<2, Int>::from_data(TensorData::new(shifts, [1, CODES]), (&self.codes.device(), DType::I32));
        let codes = self.codes.clone().expand([words, CODES]).bitwise_right_shift(shifts.expand([words, CODES]));
        let values = self.table.clone().select(0, codes.bitwise_and_scalar((1 << BITS) - 1).reshape([words * CODES]));
        let blocks = self.absmax.dims()[0];
        let values = values.narrow(0, 0, blocks * self.block_size).reshape([blocks, self.block_size]) * self.absmax.clone();
        let [out, into] = self.shape;
        values.reshape([blocks * self.block_size]).narrow(0, 0, out * into).cast(dtype).reshape([out, into])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::weights::nf4::{NestedScales, Scales};

    /// The processor stands in for another device.
    #[test]
    fn values_are_those_that_the_processor_reads() {
        for (shape, block) in [([6, 64], 64), ([3, 7], 64), ([5, 9], 6), ([4, 33], 4)] {
            let values: Vec<f32> = (0..shape[0] * shape[1]).map(|index| ((index * 37 % 101) as f32 - 50.0) / 19.0).collect();
            let mut matrix = Nf4Matrix::quantise(&values, shape, block);
            if let (Scales::Plain(scales), 64) = (&matrix.scales, block) {
                matrix.scales = Scales::Nested(NestedScales::quantise(scales));
            }
            let tensor = Nf4Tensor::new(&matrix, &Device::flex());
            let found: Vec<f32> = tensor.dense(DType::F32).into_data().try_into_vec().unwrap();
            assert_eq!(found, matrix.dequantise(), "{shape:?} {block}");
        }
    }
}
