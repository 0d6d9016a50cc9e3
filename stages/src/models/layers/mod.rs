//! The layers that an architecture calls by name, `linear("model.layers.0.mlp.up_proj", input)`. Takes activations; gives activations.
//!
//! Only this file adds an adapter's part to a module, and rounds products to bfloat16. Read it first, then `attention` (with the cache and the
//! pass), `rotary` with `rope_parameters` (its settings) and `dynamic_rope`, then `norm`, `activation` and `dropout`.

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod dropout;
pub(crate) mod dynamic_rope;
pub(crate) mod norm;
pub(crate) mod rope_parameters;
pub(crate) mod rotary;

use burn::tensor::{DType, Int, Tensor, TensorData};

use super::{
    adapters::lora,
    device::is_processor,
    fused::{self, FrozenMatrix, Matrix},
    weights::{
        arithmetic::Products,
        factors::{EMBEDDING_A, EMBEDDING_B},
        parameters::Parameters,
        weight::{EMBEDDING, HEAD, Weight, weight_of},
    },
};
use activation::Activation;

impl Parameters {
    /// Lets products be computed in bfloat16, as by `PyTorch`'s autocast: factors and products are rounded, sums are not.
    pub(crate) fn compute_in_half(&mut self, half: bool) {
        self.products = match half {
            false => Products::Full,
            true if is_processor(self.device()) => Products::Rounded,
            true => Products::Half,
        };
    }

    /// Returns whether f32 numbers are rounded to those of bfloat16.
    pub(super) fn rounds(&self) -> bool {
        self.products == Products::Rounded
    }

    /// Returns whether products are computed in bfloat16.
    pub(super) fn computes_in_half(&self) -> bool {
        self.products != Products::Full
    }

    /// Converts a factor of a product to the number format of products.
    pub(super) fn factor<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        match self.products {
            Products::Full | Products::Rounded => self.rounded(tensor.cast(DType::F32)),
            Products::Half => tensor.cast(DType::BF16),
        }
    }

    /// Converts a factor of several products once, if the conversion takes a pass over memory.
    pub(super) fn shared_factor<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        if self.products == Products::Half { tensor.cast(DType::BF16) } else { tensor }
    }

    /// Converts a product of such factors back to f32, in which everything else is computed.
    pub(super) fn product<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        self.rounded(tensor.cast(DType::F32))
    }

    /// Rounds numbers that autocast has in bfloat16, on a processor that imitates it. A device that computes in bfloat16 itself has more exact
    /// numbers and keeps them. The gradient is rounded in the backward pass.
    pub(super) fn rounded<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        match self.products {
            Products::Rounded => tensor.cast(DType::BF16).cast(DType::F32),
            Products::Full | Products::Half => tensor,
        }
    }

    /// Applies a layer's gated feed-forward block, `[places, hidden]` both.
    pub(super) fn gated(&self, layer: &str, activation: Activation, input: Tensor<2>) -> Tensor<2> {
        let input = self.shared_factor(input);
        let [gate, up] = ["gate_proj", "up_proj"].map(|name| self.raw_linear(&format!("{layer}.mlp.{name}"), input.clone()));
        self.linear(&format!("{layer}.mlp.down_proj"), self.gate(activation, gate, up))
    }

    /// Multiplies `value` by the function of `gate`, `[places, size]` each, rounded as products are.
    fn gate(&self, activation: Activation, gate: Tensor<2>, value: Tensor<2>) -> Tensor<2> {
        match self.products {
            Products::Rounded => self.rounded(activation.apply(gate)) * value,
            _ if !is_processor(self.device()) => activation.gate_on_device(self.computes_in_half(), gate, value),
            Products::Full | Products::Half => activation.gate(gate, value),
        }
    }

    /// Moves a tensor to the backend that computes gradients, if the weights are there.
    fn placed<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        if self.tracked { tensor.autodiff() } else { tensor }
    }

    /// Returns a vector in f32: a norm's scale or a bias.
    pub(crate) fn vector(&self, name: &str) -> Tensor<1> {
        match self.get(name) {
            Some(Weight::Vector(tensor)) => tensor.clone().cast(DType::F32),
            Some(Weight::Frozen(frozen)) if frozen.shape().len() == 1 => {
                let values = frozen.values();
                let shape = [values.len()];
                self.placed(Tensor::from_data(TensorData::new(values, shape), self.device()))
            }
            _ => unreachable!("`{name}` was checked to be a vector when the model was made"),
        }
    }

    /// Returns a matrix in f32, dense.
    pub(crate) fn matrix(&self, name: &str) -> Tensor<2> {
        match self.stored(name) {
            Matrix::Dense(tensor) => tensor.cast(DType::F32),
            Matrix::Frozen(matrix) => self.placed(FrozenMatrix { half: false, ..matrix }.dense(self.device())),
        }
    }

    /// Returns a matrix as a factor of products.
    fn stored(&self, name: &str) -> Matrix {
        match self.get(name) {
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
        self.raw_linear(module, input).cast(DType::F32)
    }

    /// Does the same as [`Self::linear`], with an output in the number format of its product, which may be bfloat16.
    pub(crate) fn raw_linear(&self, module: &str, input: Tensor<2>) -> Tensor<2> {
        self.project(module, &weight_of(module), input)
    }

    /// Applies the head, or the embedding's matrix if there is no other: `[places, hidden]` to `[places, vocabulary]`, in the number format
    /// of the product.
    pub(crate) fn head(&self, input: Tensor<2>) -> Tensor<2> {
        let own = weight_of(HEAD);
        let name = if self.get(&own).is_some() { own } else { weight_of(EMBEDDING) };
        self.project(HEAD, &name, input)
    }

    /// Returns the embeddings of tokens: `[places]` to `[places, hidden]`.
    pub(crate) fn embedding(&self, tokens: &[i32]) -> Tensor<2> {
        let count = tokens.len();
        let ids = || Tensor::<1, Int>::from_data(TensorData::new(tokens.to_vec(), [count]), self.device());
        let found = match self.stored(&weight_of(EMBEDDING)) {
            Matrix::Dense(table) => table.select(0, ids()).cast(DType::F32),
            Matrix::Frozen(FrozenMatrix { weight, .. }) => {
                let rows: Vec<usize> = tokens.iter().map(|&token| token as usize).collect();
                let [_, hidden] = weight.matrix_shape();
                self.placed(Tensor::from_data(TensorData::new(weight.rows(&rows), [count, hidden]), self.device()))
            }
        };
        let Some(lora) = self.lora().get(EMBEDDING) else { return found };
        let first = self.matrix(&format!("{EMBEDDING}{EMBEDDING_A}"));
        let second = self.matrix(&format!("{EMBEDDING}{EMBEDDING_B}"));
        found + fused::linear(first.transpose().select(0, ids()), second) * lora.scale
    }

    /// Applies a linear layer. If products are computed in bfloat16, the output can be in bfloat16 too.
    fn project(&self, module: &str, weight: &str, input: Tensor<2>) -> Tensor<2> {
        let weight = match self.stored(weight) {
            Matrix::Dense(tensor) => Matrix::Dense(self.factor(tensor)),
            frozen @ Matrix::Frozen(_) => frozen,
        };
        let input = self.factor(input);
        let bias = format!("{module}.bias");
        let bias = self.get(&bias).is_some().then(|| self.factor(self.vector(&bias)));
        match self.lora().get(module) {
            None => {
                let output = lora::biased(weight.multiply(input), bias);
                if self.products == Products::Half { output } else { self.product(output) }
            }
            Some(&lora) => lora::linear(self, module, &weight, bias, lora, input),
        }
    }
}
