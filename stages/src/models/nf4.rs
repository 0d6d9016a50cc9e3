//! bitsandbytes' NF4 (Dettmers et al. 2023): a matrix in, 4 bits a value and a scale a block out; and back.
//!
//! Blocks run through the flattened matrix and may straddle rows. Double quantisation stores the scales, less their mean, in 8 bits with a
//! scale of their own for each 256.

/// The 16 values of NF4, quantiles of the normal distribution scaled to [-1, 1] (`QLoRA`, appendix E).
pub(crate) const VALUES: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

/// Scales that share one scale of their own.
pub(crate) const NESTED_BLOCK: usize = 256;

/// Steps from the lowest scale to the highest before they get their codes.
const STEPS: f32 = 65_535.0;

/// A matrix in 4 bits, its scales in f32.
#[derive(Clone, Debug, PartialEq)]
pub struct Nf4Matrix {
    /// `[out, in]`.
    pub shape: [usize; 2],
    /// Two codes a byte, the first in the high half.
    pub packed: Vec<u8>,
    /// Largest magnitude of each block.
    pub absmax: Vec<f32>,
    /// Values of a block.
    pub block_size: usize,
    /// What each code stands for, times the block's scale.
    pub table: [f32; 16],
}

/// Scales in 8 bits.
#[derive(Clone, Debug, PartialEq)]
pub struct NestedScales {
    /// Code of each scale, less the mean.
    pub codes: Vec<u8>,
    /// Largest magnitude of each block of scales.
    pub absmax: Vec<f32>,
    /// The mean.
    pub offset: f32,
}

impl Nf4Matrix {
    /// Quantises values; `block_size` is at least 1.
    #[must_use]
    pub fn quantise(values: &[f32], shape: [usize; 2], block_size: usize) -> Self {
        let middles: Vec<f32> = VALUES.windows(2).map(|pair| f32::midpoint(pair[0], pair[1])).collect();
        let code = |scaled: f32| middles.partition_point(|middle| *middle < scaled) as u8;
        let mut absmax = Vec::with_capacity(values.len().div_ceil(block_size));
        let mut codes = Vec::with_capacity(values.len() + 1);
        for block in values.chunks(block_size) {
            let largest = block.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
            // A block of zeros has no scale; any will do.
            let inverse = 1.0 / largest.max(1e-38);
            codes.extend(block.iter().map(|value| code((value * inverse).clamp(-1.0, 1.0))));
            absmax.push(largest);
        }
        if !codes.len().is_multiple_of(2) {
            codes.push(code(0.0));
        }
        let packed = codes.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        Self { shape, packed, absmax, block_size, table: VALUES }
    }

    /// Returns the values that the codes stand for.
    #[must_use]
    pub fn dequantise(&self) -> Vec<f32> {
        let count = self.shape[0] * self.shape[1];
        let mut values = Vec::with_capacity(count + 1);
        let table = &self.table;
        for byte in &self.packed {
            values.push(table[usize::from(byte >> 4)]);
            values.push(table[usize::from(byte & 15)]);
        }
        values.truncate(count);
        for (block, scale) in values.chunks_mut(self.block_size).zip(&self.absmax) {
            for value in block {
                *value *= scale;
            }
        }
        values
    }
}

impl NestedScales {
    /// Quantises scales.
    ///
    /// As bitsandbytes on the processor, each is first rounded to one of 65536 even steps, which decides between two codes that are as good.
    #[must_use]
    pub fn quantise(scales: &[f32]) -> Self {
        let offset = (scales.iter().map(|&scale| f64::from(scale)).sum::<f64>() / scales.len().max(1) as f64) as f32;
        let table = dynamic_map();
        let middles: Vec<f32> = table.windows(2).map(|pair| f32::midpoint(pair[0], pair[1])).collect();
        let mut nested = Self { codes: Vec::with_capacity(scales.len()), absmax: Vec::new(), offset };
        for block in scales.chunks(NESTED_BLOCK) {
            let largest = block.iter().fold(0.0_f32, |largest, scale| largest.max((scale - offset).abs()));
            let inverse = 1.0 / largest.max(1e-38);
            let code = |scale: &f32| {
                if largest == 0.0 {
                    // All scales are the mean, and any code will do; bitsandbytes takes the first.
                    return 0;
                }
                let scaled = ((scale - offset) * inverse).clamp(-1.0, 1.0);
                let step = ((scaled + 1.0) * 0.5 * STEPS + 0.5).floor();
                let rounded = step / STEPS * 2.0 - 1.0;
                middles.partition_point(|middle| *middle < rounded) as u8
            };
            nested.codes.extend(block.iter().map(code));
            nested.absmax.push(largest);
        }
        nested
    }

    /// Returns the scales that the codes stand for.
    #[must_use]
    pub fn dequantise(&self) -> Vec<f32> {
        nested_scales(&self.codes, &self.absmax, self.offset, NESTED_BLOCK, &dynamic_map())
    }
}

/// Returns the scales behind codes in 8 bits; `table` has an entry for each code, and `absmax` one for each block.
pub(crate) fn nested_scales(codes: &[u8], absmax: &[f32], offset: f32, block_size: usize, table: &[f32; 256]) -> Vec<f32> {
    let blocks = codes.chunks(block_size).zip(absmax);
    blocks.flat_map(|(block, scale)| block.iter().map(move |&code| table[usize::from(code)] * scale + offset)).collect()
}

/// Returns the 256 values of bitsandbytes' signed dynamic map: seven decades, each with twice the steps of the one below.
pub(crate) fn dynamic_map() -> [f32; 256] {
    let mut values = vec![0.0_f64, 1.0];
    for decade in 0..7_i32 {
        let steps = 1_usize << decade;
        let size = 10_f64.powi(decade - 6);
        // The middles of `steps` equal parts of [0.1, 1].
        let border = |index: usize| 0.1 + 0.9 * index as f64 / steps as f64;
        for index in 0..steps {
            let middle = size * f64::midpoint(border(index), border(index + 1));
            values.extend([middle, -middle]);
        }
    }
    values.sort_by(f64::total_cmp);
    let mut table = [0.0; 256];
    for (slot, value) in table.iter_mut().zip(values) {
        *slot = value as f32;
    }
    table
}
