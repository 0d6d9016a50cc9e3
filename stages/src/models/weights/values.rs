//! The numbers of one weight, or of something of its size such as a gradient, on the model's device. Takes numbers or a tensor; gives either.
//!
//! Training has only two forms of them: on the processor they are in its memory, one after another, and loops run over them; on another
//! device they stay there as a tensor, and nothing of their size is copied to the processor.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::frozen;
use crate::models::{device::is_processor, fused};

/// Numbers in f32, in the order of the weight's elements.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a weight has one, and its numbers are many")]
pub enum Values {
    /// In the processor's memory.
    Host(Vec<f32>),
    /// On another device, `[count]`, without gradients.
    Device(Tensor<1>),
}

impl Values {
    /// Moves numbers to the place where a model on this device has them.
    pub(crate) fn new(values: Vec<f32>, device: &Device) -> Self {
        if is_processor(device) {
            return Self::Host(values);
        }
        let count = values.len();
        Self::Device(Tensor::from_data(TensorData::new(values, [count]), device))
    }

    /// Takes a tensor's numbers: into memory if the tensor is on the processor, else in place.
    pub(crate) fn of<const D: usize>(tensor: Tensor<D>) -> Self {
        if is_processor(&tensor.device()) {
            return Self::Host(tensor.into_data_dtype(DType::F32).try_into_vec().expect("converted to f32"));
        }
        let count = tensor.dims().iter().product::<usize>();
        Self::Device(tensor.cast(DType::F32).reshape([count]))
    }

    /// Returns `count` zeros on the same device.
    pub(crate) fn zeros(&self, count: usize) -> Self {
        match self {
            Self::Host(_) => Self::Host(vec![0.0; count]),
            Self::Device(tensor) => Self::Device(Tensor::zeros([count], &tensor.device())),
        }
    }

    /// Copies the numbers to the processor.
    #[must_use]
    pub fn to_vec(&self) -> Vec<f32> {
        match self {
            Self::Host(values) => values.clone(),
            Self::Device(tensor) => tensor.to_data().try_into_vec().expect("they are f32"),
        }
    }

    /// Adds other numbers to these, one by one.
    pub(crate) fn add(&mut self, others: &Self) {
        match (&mut *self, others) {
            (Self::Host(sums), Self::Host(others)) => {
                for (sum, other) in sums.iter_mut().zip(others) {
                    *sum += other;
                }
            }
            (Self::Device(sums), Self::Device(others)) => *self = Self::Device(sums.clone() + others.clone()),
            _ => unreachable!("the numbers of one weight are in one place"),
        }
    }

    /// Returns the sum of these numbers and others, each multiplied by a factor.
    #[must_use]
    pub(crate) fn blended(self, others: Self, own_factor: f32, others_factor: f32) -> Self {
        match (self, others) {
            (Self::Host(mut values), Self::Host(others)) => {
                for (value, other) in values.iter_mut().zip(others) {
                    *value = *value * own_factor + other * others_factor;
                }
                Self::Host(values)
            }
            (Self::Device(values), Self::Device(others)) => Self::Device(values * own_factor + others * others_factor),
            _ => unreachable!("the numbers of one weight are in one place"),
        }
    }

    /// Rounds each number to bfloat16.
    #[must_use]
    pub(crate) fn rounded(self) -> Self {
        match self {
            Self::Host(mut values) => {
                frozen::round(&mut values);
                Self::Host(values)
            }
            Self::Device(tensor) => Self::Device(tensor.cast(DType::BF16).cast(DType::F32)),
        }
    }
}

/// Sums of the squares of all numbers of all weights, computed where the numbers are.
#[expect(clippy::large_enum_variant, reason = "a step has one")]
pub(crate) enum Squares {
    /// The sum of all.
    Host(f64),
    /// The sums of parts, `[parts]`.
    Device(Tensor<1>),
}

impl Squares {
    /// Sums the squares of all numbers.
    pub(crate) fn of(weights: &[Values]) -> Self {
        let tensors: Vec<&Tensor<1>> = weights
            .iter()
            .filter_map(|values| match values {
                Values::Device(tensor) => Some(tensor),
                Values::Host(_) => None,
            })
            .collect();
        if tensors.is_empty() {
            let sum = |values: &Values| match values {
                Values::Host(values) => squares(values),
                Values::Device(_) => 0.0,
            };
            return Self::Host(weights.iter().map(sum).sum());
        }
        let sums = fused::squares(&tensors);
        Self::Device(sums.unwrap_or_else(|| {
            let sum = |tensor: &&Tensor<1>| (**tensor).clone().square().sum();
            Tensor::cat(tensors.iter().map(sum).collect(), 0)
        }))
    }

    /// Returns the Euclidean norm of all numbers, with a single copy to the processor for all weights.
    pub(crate) fn norm(&self) -> f64 {
        let sum = match self {
            Self::Host(sum) => *sum,
            Self::Device(sums) => {
                let sums: Vec<f32> = sums.to_data().try_into_vec().expect("they are f32");
                sums.into_iter().map(f64::from).sum()
            }
        };
        sum.sqrt()
    }
}

fn squares(values: &[f32]) -> f64 {
    // Sixteen partial sums in a fixed order are as exact as one, and let the compiler use vectors.
    let mut sums = [0.0_f32; 16];
    let (chunks, rest) = values.as_chunks::<16>();
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value * value;
        }
    }
    sums.iter().chain(&rest.iter().map(|value| value * value).collect::<Vec<_>>()).map(|&value| f64::from(value)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_norm_is_taken_over_all_weights() {
        let gradients = [Values::Host(vec![1.0_f32; 18]), Values::Host(vec![-3.0, 3.0])];
        assert!((Squares::of(&gradients).norm() - 6.0).abs() < 1e-6);
    }

    /// The processor stands in for another device.
    #[test]
    fn both_forms_compute_the_same() {
        let numbers = [[1.5_f32, -2.0, 0.25, 3.0], [0.5, 4.0, -1.0, 2.0]];
        let device = |values: [f32; 4]| Values::Device(Tensor::from_data(values, &Device::flex()));
        let host = |values: [f32; 4]| Values::Host(values.to_vec());
        let run = |place: &dyn Fn([f32; 4]) -> Values| {
            let [mut values, others] = numbers.map(place);
            values.add(&others);
            let blended = values.clone().blended(others, 0.75, 0.3);
            let norm = Squares::of(&[values.clone(), blended.clone()]).norm();
            let found = [values.zeros(3), values, blended.clone(), blended.rounded()].map(|values| values.to_vec());
            (found, norm)
        };
        let ((found, norm), (expected, expected_norm)) = (run(&device), run(&host));
        assert_eq!(found, expected);
        assert!((norm - expected_norm).abs() < 1e-6 * expected_norm, "{norm} {expected_norm}");
    }
}
