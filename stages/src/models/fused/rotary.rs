//! Rotary positions in one pass. Takes heads `[rows, width, heads, size]` and angles; gives the same heads, rotated.

use burn::tensor::{DType, Tensor};
use burn_flex::FlexTensor;

use super::{
    cpu::{
        lanes::vectorised,
        operation::{Input, Operation, apply, contiguous, elements, elements_mut},
    },
    device::{
        self,
        formula::{self, Formula},
    },
};

/// Rotates pairs by an angle. The derivative rotates back.
#[derive(Clone, Debug)]
struct Rotate;

/// Cosine and sine, `[rows, width, 1, turned / 2]` each.
type Saved = [FlexTensor; 2];

/// Rotates heads, in place if nothing else shares their memory.
fn turn(mut heads: FlexTensor, cosine: &FlexTensor, sine: &FlexTensor, direction: f32) -> FlexTensor {
    let [_, _, count, size] = heads.layout().shape().dims::<4>();
    let half = cosine.layout().shape().dims::<4>()[3];
    let angles = elements(cosine).chunks_exact(half).zip(elements(sine).chunks_exact(half));
    let places = elements_mut(&mut heads).chunks_exact_mut(count * size);
    vectorised(|| {
        for (place, (cosine, sine)) in places.zip(angles) {
            for head in place.chunks_exact_mut(size) {
                let (first, rest) = head.split_at_mut(half);
                for (((first, second), cosine), sine) in first.iter_mut().zip(rest).zip(cosine).zip(sine) {
                    let sine = sine * direction;
                    (*first, *second) = (*first * cosine - *second * sine, *second * cosine + *first * sine);
                }
            }
        }
    });
    heads
}

impl Operation<3> for Rotate {
    type Saved = Saved;

    fn forward(&self, inputs: [FlexTensor; 3]) -> (FlexTensor, Saved) {
        let [heads, cosine, sine] = inputs.map(contiguous);
        (turn(heads, &cosine, &sine, 1.0), [cosine, sine])
    }

    fn backward(&self, [cosine, sine]: Saved, gradient: FlexTensor, _: [bool; 3]) -> [Option<FlexTensor>; 3] {
        // Angles are constants.
        [Some(turn(contiguous(gradient), &cosine, &sine, -1.0)), None, None]
    }
}

/// Rotates the pairs (i, i + turned / 2) of each head by the angles of its place, `[rows, width, 1, turned / 2]`. Further elements are unchanged.
pub(crate) fn rotate(heads: Tensor<4>, cosine: &Tensor<4>, sine: &Tensor<4>) -> Tensor<4> {
    match (Input::of(&heads), Input::of(cosine), Input::of(sine)) {
        (Some(input), Some(cosine @ Input::Constant(_)), Some(sine)) => {
            drop(heads);
            apply(Rotate, [input, cosine, sine])
        }
        _ => formula::apply(OnDevice, [heads.clone(), cosine.clone(), sine.clone()])
            .unwrap_or_else(|| composed(heads, cosine, sine)),
    }
}

/// The same operation on devices whose memory this program does not access.
#[derive(Clone, Debug)]
struct OnDevice;

impl Formula<3, 4> for OnDevice {
    fn forward(&self, [heads, cosine, sine]: [Tensor<4>; 3]) -> (Tensor<4>, Vec<Tensor<4>>) {
        let turned = device::rotate(&heads, [&cosine, &sine], false).unwrap_or_else(|| composed(heads, &cosine, &sine));
        (turned, vec![cosine, sine])
    }

    fn backward(&self, saved: Vec<Tensor<4>>, gradient: Tensor<4>, _: [bool; 3]) -> [Option<Tensor<4>>; 3] {
        let [cosine, sine] = saved.try_into().expect("what the forward pass saved");
        let turned =
            device::rotate(&gradient, [&cosine, &sine], true).unwrap_or_else(|| composed(gradient, &cosine, &sine.neg()));
        // Angles are constants.
        [Some(turned), None, None]
    }
}

fn composed(heads: Tensor<4>, cosine: &Tensor<4>, sine: &Tensor<4>) -> Tensor<4> {
    let (size, half, dtype) = (heads.dims()[3], cosine.dims()[3], heads.dtype());
    let heads = heads.cast(DType::F32);
    let first = heads.clone().narrow(3, 0, half);
    let second = heads.clone().narrow(3, half, half);
    let mut turned =
        vec![first.clone() * cosine.clone() - second.clone() * sine.clone(), second * cosine.clone() + first * sine.clone()];
    if size > 2 * half {
        turned.push(heads.narrow(3, 2 * half, size - 2 * half));
    }
    Tensor::cat(turned, 3).cast(dtype)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::fused::tests::{Random, agree};

    #[test]
    fn values_and_gradients_are_those_of_the_formula_with_and_without_a_rest() {
        let mut random = Random(3);
        for (size, half) in [(6, 3), (9, 2)] {
            let angles = random.tensor([2 * 4, half]).reshape([2, 4, 1, half]);
            let (cosine, sine) = (angles.clone().cos(), angles.sin());
            let shape = |heads: Tensor<2>| heads.reshape([2, 4, 3, size]);
            agree(
                [random.tensor([2 * 4, 3 * size])],
                |[heads]| rotate(shape(heads), &cosine, &sine).reshape([2 * 4, 3 * size]),
                |[heads]| composed(shape(heads), &cosine, &sine).reshape([2 * 4, 3 * size]),
            );
        }
    }
}
