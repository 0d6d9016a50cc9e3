//! Models of given shapes with random weights, for measurements. Takes a configuration; gives a model on a device.

use std::collections::BTreeMap;

use burn::tensor::{DType, Device, Tensor, TensorData};
use half::bf16;
use serde_json::{Map, Value};

use crate::models::{
    architectures::{Shapes, architecture},
    decoder::Model,
    weights::weight::Weight,
};

/// Number of draws. Weights use them repeatedly, since billions of draws would take minutes.
const DRAWN: usize = 1 << 20;

/// Standard deviation of the weights.
const SPREAD: f32 = 0.02;

impl Model {
    /// Makes a model of a `config.json` with random weights, in bfloat16 (`half`) or f32. They are the same on every device.
    ///
    /// # Errors
    /// The configuration is malformed or not supported.
    pub fn random(config: Map<String, Value>, half: bool, device: &Device) -> Result<Self, String> {
        let mut shapes = Shapes::default();
        architecture(&config)?.shapes(&mut shapes);
        let drawn = drawn();
        let halves: Vec<bf16> = drawn.iter().copied().map(bf16::from_f32).collect();
        let mut taken = 0;
        let mut next = |shape: &[usize]| {
            let (from, count) = (taken % DRAWN, shape.iter().product());
            taken += count;
            if half {
                TensorData::new(repeated(&halves, from, count), shape.to_vec())
            } else {
                TensorData::new(repeated(&drawn, from, count), shape.to_vec())
            }
        };
        let options = (device, if half { DType::BF16 } else { DType::F32 });
        let mut weight = |shape: Vec<usize>| match shape[..] {
            [_, _] => Weight::Matrix(Tensor::from_data(next(&shape), options)),
            _ => Weight::Vector(Tensor::<1>::ones([shape[0]], options)),
        };
        let weights: BTreeMap<String, Weight> = shapes.0.into_iter().map(|(name, shape)| (name, weight(shape))).collect();
        Self::new(config, weights, device.clone())
    }
}

/// Returns `count` values, from index `from` on and again from the first after the last.
fn repeated<T: Copy>(values: &[T], mut from: usize, count: usize) -> Vec<T> {
    let mut all = Vec::with_capacity(count);
    while all.len() < count {
        let end = values.len().min(from + count - all.len());
        all.extend_from_slice(&values[from..end]);
        from = 0;
    }
    all
}

/// Draws numbers that are nearly normally distributed around 0: sums of twelve uniform ones.
fn drawn() -> Vec<f32> {
    let mut state = 1_u64;
    let mut even = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 24) as f32
    };
    (0..DRAWN).map(|_| ((0..12).map(|_| even()).sum::<f32>() - 6.0) * SPREAD).collect()
}
