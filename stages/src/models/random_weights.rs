//! Models of given shapes with weights that mean nothing, for measurements: a configuration in, a model on a device out.

use std::collections::BTreeMap;

use burn::tensor::{DType, Device, Distribution, Tensor};
use serde_json::{Map, Value};

use super::architecture::Shapes;
use super::decoder::{Model, architecture};
use super::weight::Weight;

impl Model {
    /// Makes a model of a `config.json` with random weights, held in numbers of type `dtype`; they are drawn on the device, and are others on
    /// each.
    ///
    /// # Errors
    /// A configuration that is not understood.
    pub fn random(config: Map<String, Value>, dtype: DType, device: &Device) -> Result<Self, String> {
        let mut shapes = Shapes::default();
        architecture(&config)?.shapes(&mut shapes);
        let weight = |shape: Vec<usize>| match shape[..] {
            [out, into] => Weight::Matrix(Tensor::<2>::random([out, into], Distribution::Normal(0.0, 0.02), device).cast(dtype)),
            _ => Weight::Vector(Tensor::<1>::ones([shape[0]], device).cast(dtype)),
        };
        let weights: BTreeMap<String, Weight> = shapes.0.into_iter().map(|(name, shape)| (name, weight(shape))).collect();
        Self::new(config, weights, device.clone())
    }
}
