//! Operations with a backward pass of their own. Takes tensors in the processor's memory; gives a tensor that is tracked in burn's graph.
//!
//! burn's graph accepts steps of other crates (`Backward`). The steps here work on memory, and not on tensors. Tensors of another device, of
//! another type than f32, or with checkpoints in their graph are no [`Input`], and then the caller computes with burn's own operations.

use std::fmt::Debug;

use burn::{
    backend::{
        Autodiff, Flex,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        tensor::FloatTensor,
    },
    tensor::{DType, Shape, Tensor},
};
use burn_flex::{FlexTensor, Layout};

/// Flex with a graph, as `Device::autodiff` configures it.
type Graph = Autodiff<Flex, NoCheckpointing>;

/// burn's `AutodiffTensor`, which has no public path.
type Tracked = FloatTensor<Graph>;

/// A function of `N` tensors and its derivative.
pub(crate) trait Operation<const N: usize>: Clone + Debug + Send + 'static {
    /// What the backward pass needs of the forward pass.
    type Saved: Clone + Debug + Send + 'static;

    /// Computes the function.
    fn forward(&self, inputs: [FlexTensor; N]) -> (FlexTensor, Self::Saved);

    /// Computes the gradients of the wanted inputs from the gradient of the output.
    fn backward(&self, saved: Self::Saved, gradient: FlexTensor, wanted: [bool; N]) -> [Option<FlexTensor>; N];
}

/// A tensor of f32 in memory, with or without a graph behind it.
pub(crate) enum Input {
    Constant(FlexTensor),
    Tracked(Tracked),
}

impl Input {
    /// Takes a tensor, if this program can access its memory.
    pub(crate) fn of<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        if tensor.dtype() != DType::F32 {
            return None;
        }
        let tracked = tensor.clone().try_into_primitive::<Graph>();
        match tracked {
            Ok(tensor) => Some(Self::Tracked(tensor)),
            Err(_) => tensor.clone().try_into_primitive::<Flex>().map(Self::Constant).ok(),
        }
    }

    fn into_memory(self) -> FlexTensor {
        match self {
            Self::Constant(tensor) => tensor,
            Self::Tracked(tensor) => tensor.into_primitive(),
        }
    }
}

/// The step in burn's graph.
#[derive(Debug)]
struct Step<O>(std::marker::PhantomData<O>);

impl<O: Operation<N> + Sync, const N: usize> Backward<Flex, N> for Step<O> {
    type State = (O, O::Saved);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (operation, saved) = ops.state;
        let gradient = grads.consume::<Flex>(&ops.node);
        let found = operation.backward(saved, gradient, ops.parents.each_ref().map(Option::is_some));
        for (parent, gradient) in ops.parents.iter().zip(found) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

/// Applies an operation.
pub(crate) fn apply<O: Operation<N> + Sync, const N: usize, const D: usize>(operation: O, inputs: [Input; N]) -> Tensor<D> {
    if inputs.iter().all(|input| matches!(input, Input::Constant(_))) {
        let (output, _) = operation.forward(inputs.map(Input::into_memory));
        return Tensor::from_primitive::<Flex>(output);
    }
    let inputs = inputs.map(|input| match input {
        Input::Constant(tensor) => Tracked::new(tensor),
        Input::Tracked(tensor) => tensor,
    });
    let nodes = inputs.each_ref().map(Tracked::node);
    let prepared = Step::<O>(std::marker::PhantomData).prepare::<NoCheckpointing>(nodes).compute_bound().stateful();
    let (output, saved) = operation.forward(inputs.map(Tracked::into_primitive));
    Tensor::from_primitive::<Graph>(match prepared {
        OpsKind::Tracked(prepared) => prepared.finish((operation, saved), output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    })
}

/// Returns the tensor with its elements one after another in memory.
pub(crate) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

/// Returns the elements of a contiguous tensor.
pub(crate) fn elements(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice::<f32>().expect("callers made it contiguous, and inputs are f32")
}

/// Returns the elements of a contiguous tensor for writing. They are copied first if another tensor shares them.
pub(crate) fn elements_mut(tensor: &mut FlexTensor) -> &mut [f32] {
    let (start, end) = tensor.layout().contiguous_offsets().expect("callers made it contiguous");
    &mut tensor.storage_mut::<f32>()[start..end]
}

/// Makes a tensor of elements in row-major order.
pub(crate) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::new(burn::tensor::Bytes::from_elems(values), Layout::contiguous(Shape::from(shape.to_vec())), DType::F32)
}
