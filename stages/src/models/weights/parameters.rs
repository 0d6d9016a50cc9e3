//! A model's weights under Hugging Face's names, with an adapter beside them: what is held, where, and which of it is trained.
//!
//! A weight's name in the file, in the gradients and in the forward pass (`layers`) is one and the same.

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
    /// Weights that the adapter stands in for (trained biases, `modules_to_save`); `None` where the base has none of that name.
    replaced: BTreeMap<String, Option<Weight>>,
    /// Whether the head is the base's embedding, kept because the adapter replaces the embedding alone.
    head_kept: bool,
    pub(in crate::models) products: Products,
    /// In training: which inputs of side branches are dropped.
    dropout: Option<Dropout>,
    /// Whether the weights are where gradients are computed.
    pub(crate) tracked: bool,
}

impl Parameters {
    /// Holds weights that are on `device`.
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

    /// Returns the same weights with an adapter that does not see all of its inputs.
    #[must_use]
    pub(crate) fn with_dropout(self, dropout: Option<Dropout>) -> Self {
        Self { dropout: dropout.filter(|dropout| dropout.share > 0.0), ..self }
    }

    /// Returns all weights in the order of their names, an adapter's among them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Weight)> {
        self.weights.iter().map(|(name, weight)| (name.as_str(), weight))
    }

    /// Returns a weight.
    pub(crate) fn get(&self, name: &str) -> Option<&Weight> {
        self.weights.get(name)
    }

    /// Returns what training drops, if it does.
    pub(crate) fn dropout(&self) -> Option<Dropout> {
        self.dropout
    }

    /// Returns the modules that an adapter changes.
    pub(crate) fn lora(&self) -> &BTreeMap<String, Lora> {
        &self.lora
    }

    /// Returns the names of base weights that the adapter stands in for.
    pub(crate) fn replaced(&self) -> impl Iterator<Item = &str> {
        self.replaced.keys().map(String::as_str)
    }

    /// Puts an adapter's factor beside the base weights.
    pub(crate) fn insert(&mut self, name: String, weight: Weight) {
        self.weights.insert(name, weight);
    }

    /// Lets an adapter act on a module whose factors have been inserted.
    pub(crate) fn adapt(&mut self, module: String, lora: Lora) {
        self.lora.insert(module, lora);
    }

    /// Puts an adapter's own weight in the place of a base weight.
    ///
    /// Where the head is tied to the embedding and the embedding is replaced, the head keeps the base's, as PEFT has it.
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

    /// Returns the same weights where gradients are computed, those in `names` as fresh leaves that gather them.
    ///
    /// All of them go there, not these alone: some functions are computed otherwise there, in the last bit, and a model that is compared with
    /// itself has to say the same.
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

    /// Returns the weights of one layer alone, or of `None` those outside the layers: embedding, last norm and head.
    #[must_use]
    pub(crate) fn of_layer(&self, layer: Option<usize>) -> Self {
        let belongs = |name: &str| layer_of(name) == layer;
        let weights = self.weights.iter().filter(|(name, _)| belongs(name));
        Self { weights: weights.map(|(name, weight)| (name.clone(), weight.clone())).collect(), ..self.clone() }
    }

    /// Takes the gradient of one of these leaves out, if the result hangs on it.
    pub(crate) fn gradient(&self, name: &str, gradients: &mut Gradients) -> Option<Values> {
        match &self.weights[name] {
            Weight::Vector(tensor) => tensor.grad_remove(gradients).map(Values::of),
            Weight::Matrix(tensor) => tensor.grad_remove(gradients).map(Values::of),
            Weight::Frozen(_) | Weight::Nf4Tensor(_) => None,
        }
    }

    /// Returns as many zeros as a weight has values.
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

    /// Changes the values of one weight, which is in f32 from then on.
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

    /// Gives one weight other values.
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

    /// Makes weights f32 that are to be trained.
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

    /// Puts matrices of 4 bits in the place of those for which there are such, one after another.
    pub(crate) fn replace_matrices(&mut self, quantised: impl Fn(&str, &Weight) -> Option<Nf4Matrix>) {
        for (name, weight) in &mut self.weights {
            if let Some(matrix) = quantised(name, weight) {
                *weight = Weight::Frozen(Frozen::Nf4(Arc::new(matrix))).on(&self.device);
            }
        }
    }
}
