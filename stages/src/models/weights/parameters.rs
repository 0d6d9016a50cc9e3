//! A model's weights under Hugging Face's names, with those of an adapter. Takes weights; gives each by its name, for reading, training and
//! moving to another device.
//!
//! A weight has the same name in the file, in the gradients and in the forward pass (`layers`).

use std::{collections::BTreeMap, sync::Arc};

use burn::tensor::{DType, Device, Gradients, Tensor};

use super::{
    arithmetic::Products,
    factors::{FACTORS, Lora},
    frozen::Frozen,
    nf4::Nf4Matrix,
    values::Values,
    weight::{EMBEDDING, HEAD, Weight, layer_of, weight_of},
};
use crate::models::{device::is_processor, layers::dropout::Dropout};

/// Weights by name, and the modules that an adapter changes.
#[derive(Clone, Debug)]
pub struct Parameters {
    device: Device,
    weights: BTreeMap<String, Weight>,
    lora: BTreeMap<String, Lora>,
    /// Weights of the base that the adapter replaces (trained biases, `modules_to_save`); `None` if the base has none of that name.
    replaced: BTreeMap<String, Option<Weight>>,
    /// Whether the head is the base's embedding, which is kept because the adapter replaces only the embedding.
    head_kept: bool,
    pub(in crate::models) products: Products,
    /// The dropout of side branches' inputs, in training.
    dropout: Option<Dropout>,
    /// Whether the weights are on the backend that computes gradients.
    pub(crate) tracked: bool,
}

impl Parameters {
    /// Makes parameters of weights that are on `device`.
    pub(crate) fn new(weights: BTreeMap<String, Weight>, device: Device) -> Self {
        let (lora, replaced) = (BTreeMap::new(), BTreeMap::new());
        Self { device, weights, lora, replaced, head_kept: false, products: Products::Full, dropout: None, tracked: false }
    }

    /// Returns the device, without gradients.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// Returns the same weights on another device.
    #[must_use]
    pub(crate) fn on(&self, device: &Device) -> Self {
        let moved = |weight: &Weight| weight.clone().on(device);
        Self {
            device: device.clone(),
            weights: self.weights.iter().map(|(name, weight)| (name.clone(), moved(weight))).collect(),
            replaced: self.replaced.iter().map(|(name, base)| (name.clone(), base.as_ref().map(moved))).collect(),
            ..self.clone()
        }
    }

    /// Returns the same weights with dropout of the adapter's inputs.
    #[must_use]
    pub(crate) fn with_dropout(self, dropout: Option<Dropout>) -> Self {
        Self { dropout: dropout.filter(|dropout| dropout.share > 0.0), ..self }
    }

    /// Returns all weights in the order of their names, including an adapter's.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Weight)> {
        self.weights.iter().map(|(name, weight)| (name.as_str(), weight))
    }

    /// Returns a weight.
    pub(crate) fn get(&self, name: &str) -> Option<&Weight> {
        self.weights.get(name)
    }

    /// Returns the dropout, if there is one.
    pub(crate) fn dropout(&self) -> Option<Dropout> {
        self.dropout
    }

    /// Returns the modules that an adapter changes.
    pub(crate) fn lora(&self) -> &BTreeMap<String, Lora> {
        &self.lora
    }

    /// Returns the names of the base weights that the adapter replaces.
    pub(crate) fn replaced(&self) -> impl Iterator<Item = &str> {
        self.replaced.keys().map(String::as_str)
    }

    /// Adds an adapter's factor to the weights.
    pub(crate) fn insert(&mut self, name: String, weight: Weight) {
        self.weights.insert(name, weight);
    }

    /// Adds an adapter to a module whose factors have been inserted.
    pub(crate) fn adapt(&mut self, module: String, lora: Lora) {
        self.lora.insert(module, lora);
    }

    /// Replaces a base weight by an adapter's weight.
    ///
    /// If the head is tied to the embedding and the embedding is replaced, the head keeps the base's embedding, as in PEFT.
    pub(crate) fn replace(&mut self, name: &str, weight: Weight) {
        if name == weight_of(EMBEDDING) && !self.weights.contains_key(&weight_of(HEAD)) {
            let tied = self.weights.get(name).cloned().expect("every model has an embedding");
            self.weights.insert(weight_of(HEAD), tied);
            self.head_kept = true;
        }
        if name == weight_of(HEAD) && std::mem::take(&mut self.head_kept) {
            self.weights.remove(name);
        }
        let base = self.weights.insert(name.to_owned(), weight);
        self.replaced.entry(name.to_owned()).or_insert(base);
    }

    /// Returns the base without its adapter.
    #[must_use]
    pub(crate) fn without_adapter(&self) -> Self {
        let is_factor = |name: &str| {
            FACTORS.iter().any(|factor| name.strip_suffix(factor).is_some_and(|module| self.lora.contains_key(module)))
        };
        let mut weights: BTreeMap<_, _> = self
            .weights
            .iter()
            .filter(|(name, _)| !is_factor(name))
            .map(|(name, weight)| (name.clone(), weight.clone()))
            .collect();
        for (name, base) in &self.replaced {
            match base {
                Some(base) => weights.insert(name.clone(), base.clone()),
                None => weights.remove(name),
            };
        }
        if self.head_kept {
            weights.remove(&weight_of(HEAD));
        }
        Self { products: self.products, ..Self::new(weights, self.device.clone()) }
    }

    /// Returns the same weights on the backend that computes gradients, with those in `names` as new leaves that accumulate gradients.
    ///
    /// All weights move there, and not only the leaves: some functions differ there in the last bit, and a model that is compared with
    /// itself has to give the same numbers.
    #[must_use]
    pub(crate) fn with_leaves(&self, names: &[String]) -> Self {
        let mut leaves = Self { tracked: true, ..self.clone() };
        for weight in leaves.weights.values_mut() {
            *weight = match weight {
                Weight::Vector(tensor) => Weight::Vector(tensor.clone().autodiff()),
                Weight::Matrix(tensor) => Weight::Matrix(tensor.clone().autodiff()),
                Weight::Frozen(_) | Weight::Nf4Tensor(_) => continue,
            };
        }
        for name in names {
            let weight = leaves.weights.get_mut(name).expect("what is trained is among the weights");
            *weight = match weight {
                Weight::Vector(tensor) => Weight::Vector(tensor.clone().require_grad()),
                Weight::Matrix(tensor) => Weight::Matrix(tensor.clone().require_grad()),
                Weight::Frozen(_) | Weight::Nf4Tensor(_) => unreachable!("what is trained was made f32 before"),
            };
        }
        leaves
    }

    /// Returns the weights of one layer only, or for `None` those outside all layers: embedding, last norm and head.
    #[must_use]
    pub(crate) fn of_layer(&self, layer: Option<usize>) -> Self {
        let belongs = |name: &str| layer_of(name) == layer;
        let weights = self.weights.iter().filter(|(name, _)| belongs(name));
        Self { weights: weights.map(|(name, weight)| (name.clone(), weight.clone())).collect(), ..self.clone() }
    }

    /// Takes the gradient of a leaf out of `gradients`, if the result depends on the leaf.
    pub(crate) fn gradient(&self, name: &str, gradients: &mut Gradients) -> Option<Values> {
        match &self.weights[name] {
            Weight::Vector(tensor) => tensor.grad_remove(gradients).map(Values::of),
            Weight::Matrix(tensor) => tensor.grad_remove(gradients).map(Values::of),
            Weight::Frozen(_) | Weight::Nf4Tensor(_) => None,
        }
    }

    /// Returns zeros, as many as a weight has values.
    pub(crate) fn zeros(&self, name: &str) -> Values {
        Values::new(vec![0.0; self.weights[name].shape().iter().product()], &self.device)
    }

    /// Returns the values of a weight that is not in 4 bits.
    pub(crate) fn values(&self, name: &str) -> Option<Values> {
        self.weights.get(name).cloned().map(Weight::into_numbers)
    }

    /// Returns the values of one weight, if they are on another device than the processor.
    pub(crate) fn on_device(&self, name: &str) -> Option<Tensor<1>> {
        if is_processor(&self.device) {
            return None;
        }
        match self.values(name)? {
            Values::Device(values) => Some(values),
            Values::Host(_) => None,
        }
    }

    /// Changes the values of one weight, which is then in f32.
    pub(crate) fn change(&mut self, name: &str, change: impl FnOnce(Values) -> Values) {
        let weight = self.weights.remove(name).expect("what is trained is among the weights");
        let shape = weight.shape();
        let weight = match (change(weight.into_numbers()), &shape[..]) {
            (Values::Host(values), _) => Weight::dense(&shape, values, &self.device),
            (Values::Device(values), &[_]) => Weight::Vector(values),
            (Values::Device(values), _) => Weight::Matrix(values.reshape([shape[0], shape[1]])),
        };
        self.weights.insert(name.to_owned(), weight);
    }

    /// Sets the values of one weight.
    pub(crate) fn set(&mut self, name: &str, values: Vec<f32>) {
        let values = Values::new(values, &self.device);
        self.change(name, |_| values);
    }

    /// Changes the values of one weight in the processor's memory.
    #[cfg(test)]
    pub(crate) fn update(&mut self, name: &str, change: impl FnOnce(&mut [f32])) {
        let mut values = self.weights[name].clone().into_values();
        change(&mut values);
        self.set(name, values);
    }

    /// Converts weights that are going to be trained to f32.
    pub(crate) fn thaw(&mut self, names: &[String]) {
        for name in names {
            let trained = match self.weights.get(name) {
                Some(Weight::Frozen(frozen)) => Weight::dense(frozen.shape(), frozen.values(), &self.device),
                Some(Weight::Vector(tensor)) => Weight::Vector(tensor.clone().cast(DType::F32)),
                Some(Weight::Matrix(tensor)) => Weight::Matrix(tensor.clone().cast(DType::F32)),
                Some(Weight::Nf4Tensor(matrix)) => Weight::Matrix(matrix.dense(DType::F32)),
                None => continue,
            };
            self.weights.insert(name.clone(), trained);
        }
    }

    /// Replaces each matrix for which `quantised` gives one in 4 bits, one after another.
    pub(crate) fn replace_matrices(&mut self, quantised: impl Fn(&str, &Weight) -> Option<Nf4Matrix>) {
        for (name, weight) in &mut self.weights {
            if let Some(matrix) = quantised(name, weight) {
                *weight = Weight::Frozen(Frozen::Nf4(Arc::new(matrix))).on(&self.device);
            }
        }
    }
}
