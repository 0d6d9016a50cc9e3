//! Weights that are not trained, as their files store them. Takes bfloat16, float16 or NF4; gives f32, a part at a time.
//!
//! A product converts a block of them to f32, uses it and drops it, so that a model takes no more memory than its file.

use std::sync::Arc;

use burn::tensor::{DType, Device, TensorData};
use half::{bf16, f16};

use super::{mapped::Mapped, nf4::Nf4Matrix};

/// A weight that stays as it is stored.
#[derive(Clone, Debug)]
pub enum Frozen {
    /// In 16 bits a value.
    Half(Arc<HalfWeight>),
    /// In 4 bits a value.
    Nf4(Arc<Nf4Matrix>),
}

/// A vector or a matrix in 16 bits, in the memory of its file.
#[derive(Debug)]
pub struct HalfWeight {
    pub(crate) shape: Vec<usize>,
    pub(crate) kind: Half,
    /// Two bytes for each value, the lower one first.
    pub(crate) bytes: Mapped,
}

/// The two 16-bit formats of floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    Bf16,
    F16,
}

impl Half {
    /// Converts values to f32, which is exact for both formats. `bytes` has two bytes for each value.
    pub(crate) fn unpack(self, bytes: &[u8], out: &mut [f32]) {
        let pairs = bytes.as_chunks::<2>().0.iter().zip(out);
        match self {
            Self::Bf16 => pairs.for_each(|(pair, out)| *out = f32::from_bits(u32::from(u16::from_le_bytes(*pair)) << 16)),
            Self::F16 => pairs.for_each(|(pair, out)| *out = f16::from_le_bytes(*pair).to_f32()),
        }
    }
}

impl HalfWeight {
    /// Returns the values for a device: in 16 bits if it computes with them, else in f32.
    pub(crate) fn data(&self, device: &Device) -> TensorData {
        let dtype = match self.kind {
            Half::Bf16 => DType::BF16,
            Half::F16 => DType::F16,
        };
        if device.supports_dtype(dtype) {
            return TensorData::from_bytes_vec(self.bytes.as_slice().to_vec(), self.shape.clone(), dtype);
        }
        let mut values = vec![0.0; self.shape.iter().product()];
        self.kind.unpack(self.bytes.as_slice(), &mut values);
        TensorData::new(values, self.shape.clone())
    }
}

impl Frozen {
    /// Returns the shape.
    pub(crate) fn shape(&self) -> &[usize] {
        match self {
            Self::Half(weight) => &weight.shape,
            Self::Nf4(matrix) => &matrix.shape,
        }
    }

    /// Returns the shape of a matrix, `[out, in]`.
    pub(crate) fn matrix_shape(&self) -> [usize; 2] {
        self.shape().try_into().expect("only matrices are multiplied, as the architecture's shapes were checked")
    }

    /// Writes the values from element `start` on, rows one after another.
    pub(crate) fn unpack(&self, start: usize, out: &mut [f32]) {
        match self {
            Self::Half(weight) => weight.kind.unpack(&weight.bytes.as_slice()[2 * start..2 * (start + out.len())], out),
            Self::Nf4(matrix) => matrix.unpack(start, out),
        }
    }

    /// Returns all values.
    pub(crate) fn values(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.shape().iter().product()];
        self.unpack(0, &mut values);
        values
    }

    /// Returns some rows of a matrix, one after another.
    pub(crate) fn rows(&self, rows: &[usize]) -> Vec<f32> {
        let [_, into] = self.matrix_shape();
        let mut values = vec![0.0; rows.len() * into];
        for (&row, out) in rows.iter().zip(values.chunks_exact_mut(into.max(1))) {
            self.unpack(row * into, out);
        }
        values
    }
}

/// Rounds values to bfloat16.
pub(crate) fn round(values: &mut [f32]) {
    for value in values {
        *value = bf16::from_f32(*value).to_f32();
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write as _;

    use super::*;

    /// Makes a weight in 16 bits, in the memory of a file.
    pub(in crate::models) fn half_of(values: &[f32], shape: &[usize], kind: Half) -> Frozen {
        let bytes = |value: &f32| match kind {
            Half::Bf16 => bf16::from_f32(*value).to_le_bytes(),
            Half::F16 => f16::from_f32(*value).to_le_bytes(),
        };
        let mut file = tempfile::tempfile().unwrap();
        // The data begin at an odd offset, as after some headers.
        file.write_all(&[0; 13]).unwrap();
        file.write_all(&values.iter().flat_map(bytes).collect::<Vec<_>>()).unwrap();
        let bytes = Mapped::new(&file, 13, 2 * values.len()).unwrap();
        Frozen::Half(Arc::new(HalfWeight { shape: shape.to_vec(), kind, bytes }))
    }

    #[test]
    fn any_run_of_values_is_that_of_the_whole() {
        let values: Vec<f32> = (0..7 * 9).map(|index| (index as f32 * 0.37).sin()).collect();
        let shape = [7, 9];
        let kinds = [
            half_of(&values, &shape, Half::Bf16),
            half_of(&values, &shape, Half::F16),
            Frozen::Nf4(Arc::new(Nf4Matrix::quantise(&values, shape, 4))),
            Frozen::Nf4(Arc::new(Nf4Matrix::quantise(&values, shape, 5))),
            Frozen::Nf4(Arc::new(Nf4Matrix::of_weight(shape, true, |start, part| {
                part.copy_from_slice(&values[start..start + part.len()]);
            }))),
        ];
        for frozen in kinds {
            let whole = frozen.values();
            assert!(whole.iter().zip(&values).all(|(whole, value)| (whole - value).abs() < 0.2));
            for start in 0..whole.len() {
                for end in start..=whole.len() {
                    let mut run = vec![0.0; end - start];
                    frozen.unpack(start, &mut run);
                    assert_eq!(run, whole[start..end], "{start} to {end}");
                }
            }
            assert_eq!(frozen.rows(&[6, 0]), [&whole[54..], &whole[..9]].concat());
        }
    }

    #[test]
    fn sixteen_bits_are_read_as_they_were_written() {
        for value in [1.0_f32, -0.375, 0.0, 65_504.0, 6.1e-5, 3.0e-7] {
            let read = |kind| half_of(&[value], &[1], kind).values()[0];
            assert_eq!(read(Half::Bf16), bf16::from_f32(value).to_f32());
            assert_eq!(read(Half::F16), f16::from_f32(value).to_f32());
        }
    }
}
