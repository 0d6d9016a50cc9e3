//! A model's weights under Hugging Face's names, with an adapter beside them: activations in, activations out.
//!
//! An architecture asks for its layers by name (`linear("model.layers.0.mlp.up_proj", input)`), so a weight's name in the file, in the
//! gradients and in the forward pass is one and the same. What an adapter adds to a module happens here and nowhere else.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::{DType, Device, Gradients, Int, Tensor, TensorData};

use super::activation::Activation;
use super::frozen::Frozen;
use super::fused::{FrozenMatrix, Matrix};
use super::lora::{self, Dropout, EMBEDDING_A, EMBEDDING_B, FACTORS, Lora};
use super::nf4::Nf4Matrix;
use super::weight::{EMBEDDING, HEAD, Weight, layer_of, weight_of};

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
    /// Whether products are computed of bfloat16.
    half: bool,
    /// In training: which inputs of side branches are dropped.
    dropout: Option<Dropout>,
    /// Whether the weights are where gradients are computed.
    tracked: bool,
}

impl Parameters {
    /// Holds weights that are on `device`.
    pub(crate) fn new(weights: BTreeMap<String, Weight>, device: Device) -> Self {
        let (lora, replaced) = (BTreeMap::new(), BTreeMap::new());
        Self { device, weights, lora, replaced, head_kept: false, half: false, dropout: None, tracked: false }
    }

    /// Returns the device, without gradients.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// Lets products be computed of bfloat16, as `PyTorch`'s autocast does: factors and products are rounded, sums are not.
    pub(crate) fn compute_in_half(&mut self, half: bool) {
        self.half = half;
    }

    /// Says whether products are computed of bfloat16.
    pub(super) fn computes_in_half(&self) -> bool {
        self.half
    }

    /// Returns the same weights with an adapter that does not see all of its inputs.
    #[must_use]
    pub(crate) fn with_dropout(self, dropout: Option<Dropout>) -> Self {
        Self { dropout: dropout.filter(|dropout| dropout.share > 0.0), ..self }
    }

    /// Rounds a factor or a product to bfloat16 where products are computed so; its gradient is rounded on the way back.
    pub(super) fn rounded<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        if self.half { tensor.cast(DType::BF16).cast(DType::F32) } else { tensor }
    }

    /// Multiplies `value` by the function of `gate`, `[places, size]` each, rounded as products are.
    pub(super) fn gated(&self, activation: Activation, gate: Tensor<2>, value: Tensor<2>) -> Tensor<2> {
        if self.half { self.rounded(activation.apply(gate)) * value } else { activation.gate(gate, value) }
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
    pub(super) fn dropout(&self) -> Option<Dropout> {
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
        Self { half: self.half, ..Self::new(weights, self.device.clone()) }
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
                Weight::Frozen(_) => continue,
            };
        }
        for name in names {
            let weight = leaves.weights.get_mut(name).expect("what is trained is among the weights");
            *weight = match weight {
                Weight::Vector(tensor) => Weight::Vector(tensor.clone().require_grad()),
                Weight::Matrix(tensor) => Weight::Matrix(tensor.clone().require_grad()),
                Weight::Frozen(_) => unreachable!("what is trained was made f32 before"),
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

    /// Takes the gradients of these leaves out, in the order of `names`; a weight without one has zeros.
    pub(crate) fn gradients(&self, names: &[String], mut gradients: Gradients) -> Vec<Vec<f32>> {
        let zeros = |name: &String| vec![0.0; self.weights[name].shape().iter().product()];
        names.iter().map(|name| self.gradient(name, &mut gradients).unwrap_or_else(|| zeros(name))).collect()
    }

    /// Takes the gradient of one of these leaves out, if the result hangs on it.
    pub(crate) fn gradient(&self, name: &str, gradients: &mut Gradients) -> Option<Vec<f32>> {
        let found = match &self.weights[name] {
            Weight::Vector(tensor) => tensor.grad_remove(gradients).map(Tensor::into_data),
            Weight::Matrix(tensor) => tensor.grad_remove(gradients).map(Tensor::into_data),
            Weight::Frozen(_) => None,
        };
        found.map(|data| data.try_into_vec().expect("gradients are f32"))
    }

    /// Changes the values of one weight in place.
    pub(crate) fn update(&mut self, name: &str, change: impl FnOnce(&mut [f32])) {
        let weight = self.weights.remove(name).expect("what is trained is among the weights");
        let shape = weight.shape();
        let mut values = weight.into_values();
        change(&mut values);
        self.weights.insert(name.to_owned(), Weight::dense(&shape, values, &self.device));
    }

    /// Makes weights f32 that are to be trained.
    pub(crate) fn thaw(&mut self, names: &[String]) {
        for name in names {
            if let Some(Weight::Frozen(frozen)) = self.weights.get(name) {
                let trained = Weight::dense(frozen.shape(), frozen.values(), &self.device);
                self.weights.insert(name.clone(), trained);
            }
        }
    }

    /// Puts matrices of 4 bits in the place of those for which there are such, one after another.
    pub(super) fn replace_matrices(&mut self, quantised: impl Fn(&str, &Weight) -> Option<Nf4Matrix>) {
        for (name, weight) in &mut self.weights {
            if let Some(matrix) = quantised(name, weight) {
                *weight = Weight::Frozen(Frozen::Nf4(Arc::new(matrix)));
            }
        }
    }

    /// Puts a tensor where gradients are computed, if the weights are there.
    fn placed<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        if self.tracked { tensor.autodiff() } else { tensor }
    }

    /// Returns a vector: a norm's scale or a bias.
    pub(crate) fn vector(&self, name: &str) -> Tensor<1> {
        match self.weights.get(name) {
            Some(Weight::Vector(tensor)) => tensor.clone(),
            Some(Weight::Frozen(frozen)) if frozen.shape().len() == 1 => {
                let values = frozen.values();
                let shape = [values.len()];
                self.placed(Tensor::from_data(TensorData::new(values, shape), &self.device))
            }
            _ => unreachable!("`{name}` was checked to be a vector when the model was made"),
        }
    }

    /// Returns a matrix, dense.
    pub(crate) fn matrix(&self, name: &str) -> Tensor<2> {
        match self.factor(name) {
            Matrix::Dense(tensor) => tensor,
            Matrix::Frozen(matrix) => self.placed(FrozenMatrix { half: false, ..matrix }.dense(&self.device)),
        }
    }

    /// Returns a matrix as it goes into products.
    fn factor(&self, name: &str) -> Matrix {
        match self.weights.get(name) {
            Some(Weight::Matrix(tensor)) => Matrix::Dense(tensor.clone()),
            Some(Weight::Frozen(frozen)) if frozen.shape().len() == 2 => {
                Matrix::Frozen(FrozenMatrix::new(frozen.clone(), self.half))
            }
            _ => unreachable!("`{name}` was checked to be a matrix when the model was made"),
        }
    }

    /// Applies a linear layer: `[places, in]` to `[places, out]`, with its bias if it has one and with its adapter.
    pub(crate) fn linear(&self, module: &str, input: Tensor<2>) -> Tensor<2> {
        self.project(module, &weight_of(module), input)
    }

    /// Applies the head, which is the embedding's matrix where there is no other: `[places, hidden]` to `[places, vocabulary]`.
    pub(crate) fn head(&self, input: Tensor<2>) -> Tensor<2> {
        let own = weight_of(HEAD);
        let name = if self.weights.contains_key(&own) { own } else { weight_of(EMBEDDING) };
        self.project(HEAD, &name, input)
    }

    /// Looks tokens up: `[places]` to `[places, hidden]`.
    pub(crate) fn embedding(&self, tokens: &[i32]) -> Tensor<2> {
        let count = tokens.len();
        let ids = || Tensor::<1, Int>::from_data(TensorData::new(tokens.to_vec(), [count]), &self.device);
        let found = match self.factor(&weight_of(EMBEDDING)) {
            Matrix::Dense(table) => table.select(0, ids()),
            Matrix::Frozen(FrozenMatrix { weight, .. }) => {
                let rows: Vec<usize> = tokens.iter().map(|&token| token as usize).collect();
                let [_, hidden] = weight.matrix_shape();
                self.placed(Tensor::from_data(TensorData::new(weight.rows(&rows), [count, hidden]), &self.device))
            }
        };
        let Some(lora) = self.lora.get(EMBEDDING) else { return found };
        let first = self.matrix(&format!("{EMBEDDING}{EMBEDDING_A}"));
        let second = self.matrix(&format!("{EMBEDDING}{EMBEDDING_B}"));
        found + first.transpose().select(0, ids()).matmul(second.transpose()) * lora.scale
    }

    fn project(&self, module: &str, weight: &str, input: Tensor<2>) -> Tensor<2> {
        let weight = match self.factor(weight) {
            Matrix::Dense(tensor) => Matrix::Dense(self.rounded(tensor)),
            frozen @ Matrix::Frozen(_) => frozen,
        };
        let input = self.rounded(input);
        let bias = format!("{module}.bias");
        let bias = self.weights.contains_key(&bias).then(|| self.rounded(self.vector(&bias)));
        match self.lora.get(module) {
            None => self.rounded(lora::biased(weight.multiply(input), bias)),
            Some(&lora) => lora::linear(self, module, &weight, bias, lora, input),
        }
    }
}
