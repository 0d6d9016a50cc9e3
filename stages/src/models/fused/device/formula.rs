//! Operations with a backward pass of their own on devices whose memory this program does not access. Takes tensors; gives a tensor that is
//! tracked in burn's graph.
//!
//! The backward pass consists of operations on tensors too. Its advantage over burn's is memory: it keeps what the formula saves, while
//! burn keeps an input of each of its steps.

use std::{fmt::Debug, marker::PhantomData};

use burn::{
    backend::{
        Autodiff, Backend, DispatchKindConversion, Flex,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        tensor::FloatTensor,
    },
    tensor::{DispatchTensor, Tensor},
};

/// A function of `N` tensors of rank `D`, and its derivative.
pub(crate) trait Formula<const N: usize, const D: usize>: Clone + Debug + Send + Sync + 'static {
    /// Computes the function. Returns its value and the tensors that the backward pass needs.
    fn forward(&self, inputs: [Tensor<D>; N]) -> (Tensor<D>, Vec<Tensor<D>>);

    /// Computes the gradients of the wanted inputs from the gradient of the output.
    fn backward(&self, saved: Vec<Tensor<D>>, gradient: Tensor<D>, wanted: [bool; N]) -> [Option<Tensor<D>>; N];
}

/// The step in burn's graph.
#[derive(Debug)]
struct Step<F, const D: usize>(PhantomData<F>);

impl<B, F, const N: usize, const D: usize> Backward<B, N> for Step<F, D>
where
    B: Backend,
    F: Formula<N, D>,
    DispatchTensor: DispatchKindConversion<B>,
{
    type State = (F, Vec<Tensor<D>>);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (formula, saved) = ops.state;
        let gradient = Tensor::from_primitive::<B>(grads.consume::<B>(&ops.node));
        let found = formula.backward(saved, gradient, ops.parents.each_ref().map(Option::is_some));
        for (parent, gradient) in ops.parents.iter().zip(found) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(parent.id, primitive::<B, D>(gradient));
            }
        }
    }
}

fn primitive<B: Backend, const D: usize>(tensor: Tensor<D>) -> FloatTensor<B>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    tensor.try_into_primitive::<B>().expect("tensors of one step are on one device, and so is what is made of them")
}

/// Applies a formula. Returns nothing if the graph has checkpoints, and then the caller computes with burn's own operations.
pub(crate) fn apply<F: Formula<N, D>, const N: usize, const D: usize>(formula: F, inputs: [Tensor<D>; N]) -> Option<Tensor<D>> {
    if !inputs.iter().any(Tensor::is_autodiff) {
        return Some(formula.forward(inputs).0);
    }
    let inputs = inputs.map(Tensor::autodiff);
    if inputs[0].clone().try_into_primitive::<Autodiff<Flex>>().is_ok() {
        return Some(tracked::<Flex, F, N, D>(formula, inputs));
    }
    #[cfg(any(feature = "cuda", feature = "vulkan"))]
    if inputs[0].clone().try_into_primitive::<Autodiff<burn::backend::Cube>>().is_ok() {
        return Some(tracked::<burn::backend::Cube, F, N, D>(formula, inputs));
    }
    None
}

fn tracked<B, F, const N: usize, const D: usize>(formula: F, inputs: [Tensor<D>; N]) -> Tensor<D>
where
    B: Backend,
    F: Formula<N, D>,
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    let nodes = inputs.clone().map(|input| primitive::<Autodiff<B>, D>(input).node());
    let step = Step::<F, D>(PhantomData);
    let prepared = Backward::<B, N>::prepare::<NoCheckpointing>(step, nodes).compute_bound().stateful();
    let (output, saved) = formula.forward(inputs.map(Tensor::inner));
    let output = primitive::<B, D>(output);
    Tensor::from_primitive::<Autodiff<B>>(match prepared {
        OpsKind::Tracked(prepared) => prepared.finish((formula, saved), output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    })
}
