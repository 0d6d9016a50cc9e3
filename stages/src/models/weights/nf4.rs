//! bitsandbytes' NF4 (Dettmers et al. 2023). Takes a matrix; gives 4 bits for each value and a scale for each block; and back.
//!
//! Blocks run through the flattened matrix and may cross the ends of rows. Double quantisation stores the scales, minus their mean, in 8
//! bits, with a second scale for each 256 of them.

use std::{num::NonZero, thread};

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

/// Number of values that share one scale when a model is quantised.
const BLOCK: usize = 64;

/// Number of values for which a thread is worth its cost.
const PART: usize = 1 << 20;

/// Number of scales that share a second scale.
pub(crate) const NESTED_BLOCK: usize = 256;

/// Number of steps from the lowest scale to the highest, to which scales are rounded before they get their codes.
const STEPS: f32 = 65_535.0;

/// A matrix in 4 bits.
#[derive(Clone, Debug, PartialEq)]
pub struct Nf4Matrix {
    /// `[out, in]`.
    pub shape: [usize; 2],
    /// Two codes in each byte, the first in the high half.
    pub packed: Vec<u8>,
    /// The largest magnitude of each block.
    pub scales: Scales,
    /// Number of values of a block.
    pub block_size: usize,
    /// The value of each code, to be multiplied by the block's scale.
    pub table: [f32; 16],
}

/// Scales of a matrix's blocks.
#[derive(Clone, Debug, PartialEq)]
pub enum Scales {
    /// Not quantised.
    Plain(Vec<f32>),
    /// Quantised too (double quantisation).
    Nested(NestedScales),
}

/// Scales in 8 bits.
#[derive(Clone, Debug, PartialEq)]
pub struct NestedScales {
    /// The code of each scale minus the mean.
    pub codes: Vec<u8>,
    /// The largest magnitude of each block of scales.
    pub absmax: Vec<f32>,
    /// The mean of the scales.
    pub offset: f32,
    /// Number of scales of a block.
    pub block_size: usize,
    /// The value of each code, to be multiplied by the block's magnitude.
    pub table: Box<[f32; 256]>,
}

impl Scales {
    /// Returns one block's scale.
    pub(crate) fn at(&self, block: usize) -> f32 {
        match self {
            Self::Plain(scales) => scales[block],
            Self::Nested(nested) => nested.at(block),
        }
    }
}

impl Nf4Matrix {
    /// Quantises values. `block_size` is at least 1.
    #[must_use]
    pub fn quantise(values: &[f32], shape: [usize; 2], block_size: usize) -> Self {
        Self::quantise_parts(shape, block_size, |start, part| part.copy_from_slice(&values[start..start + part.len()]))
    }

    /// Quantises a weight with bitsandbytes' usual blocks, and with `double_quant` the blocks' scales too. `read` writes the values from an
    /// element on, so that no more than a few blocks are in memory.
    #[must_use]
    pub(crate) fn of_weight(shape: [usize; 2], double_quant: bool, read: impl Fn(usize, &mut [f32]) + Sync) -> Self {
        let matrix = Self::quantise_parts(shape, BLOCK, read);
        match &matrix.scales {
            Scales::Plain(scales) if double_quant => {
                let scales = Scales::Nested(NestedScales::quantise(scales));
                Self { scales, ..matrix }
            }
            _ => matrix,
        }
    }

    /// Quantises parts of whole blocks, each on its own thread. Every block is quantised by itself, so that the number of parts changes nothing.
    fn quantise_parts(shape: [usize; 2], block_size: usize, read: impl Fn(usize, &mut [f32]) + Sync) -> Self {
        let count = shape[0] * shape[1];
        let threads = thread::available_parallelism().map_or(1, NonZero::get).min(count / PART + 1);
        // A part has pairs of blocks, since two blocks always end at a whole byte.
        let pairs = count.div_ceil(2 * block_size).div_ceil(threads).max(1);
        let ends = (0..count).step_by(2 * block_size * pairs).map(|start| [start, (start + 2 * block_size * pairs).min(count)]);
        let read = &read;
        let parts = thread::scope(|scope| {
            let threads: Vec<_> = ends.map(|ends| scope.spawn(move || quantise_part(ends, block_size, read))).collect();
            threads.into_iter().map(|thread| thread.join().expect("codes are found for any numbers")).collect::<Vec<_>>()
        });
        let (packed, absmax): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        Self { shape, packed: packed.concat(), scales: Scales::Plain(absmax.concat()), block_size, table: VALUES }
    }

    /// Returns the values of all codes.
    #[must_use]
    pub fn dequantise(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.shape[0] * self.shape[1]];
        self.unpack(0, &mut values);
        values
    }

    /// Writes the values from element `start` on, rows one after another.
    pub(crate) fn unpack(&self, start: usize, out: &mut [f32]) {
        let code = |at: usize| {
            let byte = self.packed[at / 2];
            if at.is_multiple_of(2) { byte >> 4 } else { byte & 15 }
        };
        let (mut at, end) = (start, start + out.len());
        while at < end {
            let block = at / self.block_size;
            let scale = self.scales.at(block);
            let table = self.table.map(|value| value * scale);
            let until = end.min((block + 1) * self.block_size);
            let mut part = &mut out[at - start..until - start];
            if !at.is_multiple_of(2) {
                part[0] = table[usize::from(code(at))];
                part = &mut part[1..];
                at += 1;
            }
            let (pairs, last) = part.as_chunks_mut::<2>();
            for (pair, byte) in pairs.iter_mut().zip(&self.packed[at / 2..]) {
                *pair = [table[usize::from(byte >> 4)], table[usize::from(byte & 15)]];
            }
            if let [last] = last {
                *last = table[usize::from(code(until - 1))];
            }
            at = until;
        }
    }
}

/// Returns the codes of the values in a range of elements, two in each byte, and the largest magnitude of each block.
fn quantise_part([first, end]: [usize; 2], block_size: usize, read: impl Fn(usize, &mut [f32])) -> (Vec<u8>, Vec<f32>) {
    let middles: [f32; 15] = std::array::from_fn(|index| f32::midpoint(VALUES[index], VALUES[index + 1]));
    let code = |scaled: f32| middles.iter().map(|middle| u8::from(*middle < scaled)).sum::<u8>();
    let count = end - first;
    let mut absmax = Vec::with_capacity(count.div_ceil(block_size));
    let mut packed = Vec::with_capacity(count.div_ceil(2));
    let at_a_time = block_size.saturating_mul(2);
    let mut values = vec![0.0; at_a_time.min(count)];
    let mut codes = Vec::with_capacity(values.len() + 1);
    for start in (first..end).step_by(at_a_time) {
        let values = &mut values[..at_a_time.min(end - start)];
        read(start, values);
        codes.clear();
        for block in values.chunks(block_size) {
            let largest = block.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
            // A block of zeros has no scale, and any positive one will do.
            let inverse = 1.0 / largest.max(1e-38);
            codes.extend(block.iter().map(|value| code((value * inverse).clamp(-1.0, 1.0))));
            absmax.push(largest);
        }
        if !codes.len().is_multiple_of(2) {
            codes.push(code(0.0));
        }
        packed.extend(codes.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]));
    }
    (packed, absmax)
}

impl NestedScales {
    /// Quantises scales.
    ///
    /// As in bitsandbytes on the processor, each is first rounded to one of 65536 even steps, which decides between two equally good codes.
    #[must_use]
    pub fn quantise(scales: &[f32]) -> Self {
        let offset = (scales.iter().map(|&scale| f64::from(scale)).sum::<f64>() / scales.len().max(1) as f64) as f32;
        let table = dynamic_map();
        let middles: Vec<f32> = table.windows(2).map(|pair| f32::midpoint(pair[0], pair[1])).collect();
        let codes = Vec::with_capacity(scales.len());
        let mut nested = Self { codes, absmax: Vec::new(), offset, block_size: NESTED_BLOCK, table: Box::new(table) };
        for block in scales.chunks(NESTED_BLOCK) {
            let largest = block.iter().fold(0.0_f32, |largest, scale| largest.max((scale - offset).abs()));
            let inverse = 1.0 / largest.max(1e-38);
            let code = |scale: &f32| {
                if largest == 0.0 {
                    // All scales equal the mean, and any code will do. bitsandbytes takes the first.
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

    /// Returns the scales of all codes.
    #[must_use]
    pub fn dequantise(&self) -> Vec<f32> {
        (0..self.codes.len()).map(|block| self.at(block)).collect()
    }

    fn at(&self, block: usize) -> f32 {
        self.table[usize::from(self.codes[block])] * self.absmax[block / self.block_size] + self.offset
    }
}

/// Returns the 256 values of bitsandbytes' signed dynamic map: seven decades, each with twice as many steps as the one below.
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
