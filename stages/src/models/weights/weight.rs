//! One weight, and the names of weights. Takes values, 16 bits of a file, or codes; gives its shape and its values.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::{frozen::Frozen, nf4::Nf4Matrix, nf4_tensor::Nf4Tensor, values::Values};
use crate::models::device::is_processor;

/// The name of the embedding, which turns tokens into the first activations.
pub(crate) const EMBEDDING: &str = "model.embed_tokens";
/// The name of the head, which turns the last activations into logits.
pub(crate) const HEAD: &str = "lm_head";

/// One weight. Matrices are `[out, in]`, as Hugging Face stores them.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a model has a few hundred")]
pub enum Weight {
    /// A norm's scale, a bias, or `DoRA`'s magnitudes.
    Vector(Tensor<1>),
    /// A projection or an embedding.
    Matrix(Tensor<2>),
    /// A vector or a matrix as its file stores it, in 16 or 4 bits. It is converted to f32 a part at a time when it is used.
    Frozen(Frozen),
    /// A projection in 4 bits on another device than the processor. There, weights in 16 bits are ordinary tensors.
    Nf4Tensor(Nf4Tensor),
}

/// A weight for files: its shape and its values in f32.
pub(crate) type Dense = (Vec<usize>, Vec<f32>);

impl Weight {
    /// Makes a weight of rank 1 or 2 on a device.
    pub(crate) fn dense(shape: &[usize], values: Vec<f32>, device: &Device) -> Self {
        match *shape {
            [length] => Self::Vector(Tensor::from_data(TensorData::new(values, [length]), device)),
            [out, into] => Self::Matrix(Tensor::from_data(TensorData::new(values, [out, into]), device)),
            _ => unreachable!("callers checked the shape against an architecture's, which has ranks 1 and 2"),
        }
    }

    /// Returns the shape.
    pub(crate) fn shape(&self) -> Vec<usize> {
        match self {
            Self::Vector(tensor) => tensor.dims().to_vec(),
            Self::Matrix(tensor) => tensor.dims().to_vec(),
            Self::Frozen(frozen) => frozen.shape().to_vec(),
            Self::Nf4Tensor(matrix) => matrix.shape().to_vec(),
        }
    }

    /// Quantises a matrix to 4 bits. One in 16 bits is read a few values at a time.
    pub(crate) fn quantised(&self, shape: [usize; 2], double_quant: bool) -> Nf4Matrix {
        match self {
            Self::Frozen(frozen) => Nf4Matrix::of_weight(shape, double_quant, |start, part| frozen.unpack(start, part)),
            dense => {
                let values = dense.clone().into_values();
                Nf4Matrix::of_weight(shape, double_quant, |start, part| {
                    part.copy_from_slice(&values[start..start + part.len()]);
                })
            }
        }
    }

    /// Converts a weight in 4 bits to f32, and leaves others unchanged.
    pub(crate) fn out_of_codes(self) -> Self {
        match self {
            Self::Frozen(Frozen::Nf4(matrix)) => Self::dense(&matrix.shape, matrix.dequantise(), &Device::flex()),
            Self::Nf4Tensor(matrix) => Self::Matrix(matrix.dense(DType::F32)),
            other => other,
        }
    }

    /// Returns the values, copied to the processor.
    pub(crate) fn into_values(self) -> Vec<f32> {
        let data = match self {
            Self::Vector(tensor) => tensor.into_data_dtype(DType::F32),
            Self::Matrix(tensor) => tensor.into_data_dtype(DType::F32),
            Self::Frozen(frozen) => return frozen.values(),
            Self::Nf4Tensor(matrix) => matrix.dense(DType::F32).into_data(),
        };
        data.try_into_vec().expect("converted to f32")
    }

    /// Returns the values of a trained weight, on the device where they are.
    pub(crate) fn into_numbers(self) -> Values {
        match self {
            Self::Vector(tensor) => Values::of(tensor),
            Self::Matrix(tensor) => Values::of(tensor),
            Self::Frozen(_) | Self::Nf4Tensor(_) => unreachable!("what is trained was made f32 before"),
        }
    }

    /// Returns the weight on a device, in the same number of bits.
    pub(crate) fn on(self, device: &Device) -> Self {
        match self {
            Self::Vector(tensor) => Self::Vector(tensor.to_device(device)),
            Self::Matrix(tensor) => Self::Matrix(tensor.to_device(device)),
            Self::Frozen(frozen) if is_processor(device) => Self::Frozen(frozen),
            Self::Frozen(Frozen::Nf4(matrix)) => Self::Nf4Tensor(Nf4Tensor::new(&matrix, device)),
            Self::Frozen(Frozen::Half(half)) => {
                let data = half.data(device);
                let options = (device, data.dtype());
                if half.shape.len() == 1 {
                    Self::Vector(Tensor::from_data(data, options))
                } else {
                    Self::Matrix(Tensor::from_data(data, options))
                }
            }
            Self::Nf4Tensor(matrix) => Self::Nf4Tensor(matrix.on(device)),
        }
    }
}

/// Returns the layer that a weight belongs to, by its name.
pub(crate) fn layer_of(name: &str) -> Option<usize> {
    name.strip_prefix("model.layers.")?.split('.').next()?.parse().ok()
}

/// Returns the name of a module's weight.
pub(crate) fn weight_of(module: &str) -> String {
    format!("{module}.weight")
}
