//! A scalar whose backward pass injects a given gradient. Takes a tensor of a graph and its gradient; gives a scalar whose derivative by the
//! tensor is that gradient.

use burn::tensor::Tensor;

use super::device::formula::{self, Formula};

#[derive(Clone, Debug)]
struct InjectGradient;

impl Formula<2, 2> for InjectGradient {
    fn forward(&self, [_, slope]: [Tensor<2>; 2]) -> (Tensor<2>, Vec<Tensor<2>>) {
        (Tensor::zeros([1, 1], (&slope.device(), slope.dtype())), vec![slope])
    }

    fn backward(&self, saved: Vec<Tensor<2>>, _: Tensor<2>, _: [bool; 2]) -> [Option<Tensor<2>>; 2] {
        let [slope] = saved.try_into().expect("what the forward pass saved");
        [Some(slope), None]
    }
}

/// Returns a scalar (whose value has no meaning) whose backward pass gives `output` the gradient `slope`, of the same shape and type.
pub(crate) fn inject_gradient(output: Tensor<2>, slope: Tensor<2>) -> Tensor<2> {
    let inputs = [output.clone(), slope.clone()];
    formula::apply(InjectGradient, inputs).unwrap_or_else(|| (output * slope).sum().unsqueeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::fused::tests::Random;

    #[test]
    fn the_gradient_is_the_one_that_was_given() {
        let mut random = Random(2);
        let (leaf, slope) = (random.tensor([3, 4]).autodiff().require_grad(), random.tensor([3, 4]));
        let gradients = inject_gradient(leaf.clone() * 2.0, slope.clone()).backward();
        leaf.grad(&gradients).unwrap().into_data().assert_eq(&(slope * 2.0).into_data(), true);
    }
}
