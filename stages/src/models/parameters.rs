//! A model's weights under Hugging Face's names, with an adapter beside them: activations in, activations out.
//!
//! An architecture asks for its layers by name (`linear("model.layers.0.mlp.up_proj", input)`), so a weight's name in the file, in the
//! gradients and in the forward pass is one and the same. What an adapter adds to a module happens here and nowhere else.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::{DType, Device, Gradients, Int, Tensor, TensorData};

use super::activation::Activation;
use super::device::is_processor;
use super::dropout::Dropout;
use super::frozen::Frozen;
use super::fused::{FrozenMatrix, Matrix};
use super::lora::{self, EMBEDDING_A, EMBEDDING_B, FACTORS, Lora};
use super::nf4::Nf4Matrix;
use super::values::Values;
use super::weight::{EMBEDDING, HEAD, Weight, layer_of, weight_of};

/// In which numbers products are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Products {
    /// float32.
    #[default]
    Full,
    /// float32 that was rounded to bfloat16: what `PyTorch`'s autocast computes, where the processor has no such products.
    Rounded,
    /// bfloat16, with sums of float32 inside.
    Half,
}

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
    products: Products,
    /// In training: which inputs of side branches are dropped.
    dropout: Option<Dropout>,
    /// Whether the weights are where gradients are computed.
    tracked: bool,
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

    /// Lets products be computed of bfloat16, as `PyTorch`'s autocast does: factors and products are rounded, sums are not.
    pub(crate) fn compute_in_half(&mut self, half: bool) {
        self.products = match half {
            false => Products::Full,
            true if is_processor(&self.device) => Products::Rounded,
            true => Products::Half,
        };
    }

    /// Says whether products are computed of bfloat16.
    pub(super) fn computes_in_half(&self) -> bool {
        self.products != Products::Full
    }

    /// Returns the same weights with an adapter that does not see all of its inputs.
    #[must_use]
    pub(crate) fn with_dropout(self, dropout: Option<Dropout>) -> Self {
        Self { dropout: dropout.filter(|dropout| dropout.share > 0.0), ..self }
    }

    /// Makes a factor of a product ready: in the numbers that products are computed in.
    pub(super) fn factor<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        match self.products {
            Products::Full | Products::Rounded => self.rounded(tensor.cast(DType::F32)),
            Products::Half => tensor.cast(DType::BF16),
        }
    }

    /// Takes what a product of such factors gave back to f32, in which everything else is computed.
    pub(super) fn product<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        self.rounded(tensor.cast(DType::F32))
    }

    /// Rounds to bfloat16 what autocast holds in it, where the processor stands in for a device that computes so: such a device has better
    /// numbers at hand, and keeps them. The gradient is rounded on the way back.
    pub(super) fn rounded<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        match self.products {
            Products::Rounded => tensor.cast(DType::BF16).cast(DType::F32),
            Products::Full | Products::Half => tensor,
        }
    }

    /// Applies a layer's gated feed-forward block, `[places, hidden]` both.
    pub(super) fn gated(&self, layer: &str, activation: Activation, input: Tensor<2>) -> Tensor<2> {
        let gate = self.linear(&format!("{layer}.mlp.gate_proj"), input.clone());
        let up = self.linear(&format!("{layer}.mlp.up_proj"), input);
        self.linear(&format!("{layer}.mlp.down_proj"), self.gate(activation, gate, up))
    }

    /// Multiplies `value` by the function of `gate`, `[places, size]` each, rounded as products are.
    fn gate(&self, activation: Activation, gate: Tensor<2>, value: Tensor<2>) -> Tensor<2> {
        match self.products {
            Products::Rounded => self.rounded(activation.apply(gate)) * value,
            _ if !is_processor(&self.device) => activation.gate_elsewhere(self.computes_in_half(), gate, value),
            Products::Full | Products::Half => activation.gate(gate, value),
        }
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
    pub(super) fn replace_matrices(&mut self, quantised: impl Fn(&str, &Weight) -> Option<Nf4Matrix>) {
        for (name, weight) in &mut self.weights {
            if let Some(matrix) = quantised(name, weight) {
                *weight = Weight::Frozen(Frozen::Nf4(Arc::new(matrix))).on(&self.device);
            }
        }
    }

    /// Puts a tensor where gradients are computed, if the weights are there.
    fn placed<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        if self.tracked { tensor.autodiff() } else { tensor }
    }

    /// Returns a vector in f32: a norm's scale or a bias.
    pub(crate) fn vector(&self, name: &str) -> Tensor<1> {
        match self.weights.get(name) {
            Some(Weight::Vector(tensor)) => tensor.clone().cast(DType::F32),
            Some(Weight::Frozen(frozen)) if frozen.shape().len() == 1 => {
                let values = frozen.values();
                let shape = [values.len()];
                self.placed(Tensor::from_data(TensorData::new(values, shape), &self.device))
            }
            _ => unreachable!("`{name}` was checked to be a vector when the model was made"),
        }
    }

    /// Returns a matrix in f32, dense.
    pub(crate) fn matrix(&self, name: &str) -> Tensor<2> {
        match self.held(name) {
            Matrix::Dense(tensor) => tensor.cast(DType::F32),
            Matrix::Frozen(matrix) => self.placed(FrozenMatrix { half: false, ..matrix }.dense(&self.device)),
        }
    }

    /// Returns a matrix on its way into products.
    fn held(&self, name: &str) -> Matrix {
        match self.weights.get(name) {
            Some(Weight::Matrix(tensor)) => Matrix::Dense(tensor.clone()),
            Some(Weight::Frozen(frozen)) if frozen.shape().len() == 2 => {
                Matrix::Frozen(FrozenMatrix::new(frozen.clone(), self.computes_in_half()))
            }
            Some(Weight::Nf4Tensor(matrix)) => {
                let dtype = if self.products == Products::Half { DType::BF16 } else { DType::F32 };
                Matrix::Dense(self.placed(matrix.dense(dtype)))
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
        let found = match self.held(&weight_of(EMBEDDING)) {
            Matrix::Dense(table) => table.select(0, ids()).cast(DType::F32),
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
        let weight = match self.held(weight) {
            Matrix::Dense(tensor) => Matrix::Dense(self.factor(tensor)),
            frozen @ Matrix::Frozen(_) => frozen,
        };
        let input = self.factor(input);
        let bias = format!("{module}.bias");
        let bias = self.weights.contains_key(&bias).then(|| self.factor(self.vector(&bias)));
        match self.lora.get(module) {
            None => self.product(lora::biased(weight.multiply(input), bias)),
            Some(&lora) => lora::linear(self, module, &weight, bias, lora, input),
        }
    }
}
