//! Root-mean-square norm (Zhang and Sennrich 2019) in one pass. Takes activations `[places, size]` and a scale `[size]`; gives the same shape.

use burn::tensor::Tensor;
use burn_flex::FlexTensor;

use super::{
    cpu::{
        lanes::{sum, vectorised},
        operation::{Input, Operation, apply, contiguous, elements, elements_mut, tensor},
    },
    device::{
        self,
        formula::{self, Formula},
    },
};

#[derive(Clone, Debug)]
struct RmsNorm {
    epsilon: f32,
}

/// The input, the scale, and the inverse root mean square of each place.
type Saved = (FlexTensor, FlexTensor, Vec<f32>);

impl Operation<2> for RmsNorm {
    type Saved = Saved;

    fn forward(&self, inputs: [FlexTensor; 2]) -> (FlexTensor, Saved) {
        let [input, weight] = inputs.map(contiguous);
        let (x, scale) = (elements(&input), elements(&weight));
        let size = scale.len();
        let mut output = vec![0.0; x.len()];
        let mut inverses = Vec::with_capacity(x.len() / size);
        vectorised(|| {
            for (x, output) in x.chunks_exact(size).zip(output.chunks_exact_mut(size)) {
                let inverse = 1.0 / (sum(x, x, |x, _| x * x) / size as f32 + self.epsilon).sqrt();
                for ((output, x), scale) in output.iter_mut().zip(x).zip(scale) {
                    *output = x * inverse * scale;
                }
                inverses.push(inverse);
            }
        });
        (tensor(output, [x.len() / size, size]), (input, weight, inverses))
    }

    fn backward(&self, (input, weight, inverses): Saved, gradient: FlexTensor, wanted: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let mut of_input = contiguous(gradient);
        let (x, scale, slope) = (elements(&input), elements(&weight), elements_mut(&mut of_input));
        let size = scale.len();
        let mut of_weight = vec![0.0; size];
        vectorised(|| {
            for ((x, slope), &inverse) in x.chunks_exact(size).zip(slope.chunks_exact_mut(size)).zip(&inverses) {
                if wanted[1] {
                    for ((sum, x), slope) in of_weight.iter_mut().zip(x).zip(slope.iter()) {
                        *sum += x * inverse * slope;
                    }
                }
                // From here on, the same memory has the gradient of the input.
                for (slope, scale) in slope.iter_mut().zip(scale) {
                    *slope *= scale;
                }
                let along = sum(slope, x, |slope, x| slope * x) * inverse * inverse / size as f32;
                for (slope, x) in slope.iter_mut().zip(x) {
                    *slope = inverse * (*slope - x * along);
                }
            }
        });
        [wanted[0].then_some(of_input), wanted[1].then(|| tensor(of_weight, [size]))]
    }
}

/// Scales each place to root mean square 1 and multiplies by `weight`.
pub(crate) fn rms_norm(input: Tensor<2>, weight: Tensor<1>, epsilon: f64) -> Tensor<2> {
    match (Input::of(&input), Input::of(&weight)) {
        (Some(input), Some(weight)) => apply(RmsNorm { epsilon: epsilon as f32 }, [input, weight]),
        _ => on_device(input, weight, epsilon),
    }
}

/// Computes the norm on devices whose memory this program does not access.
fn on_device(input: Tensor<2>, weight: Tensor<1>, epsilon: f64) -> Tensor<2> {
    let inputs = [input.clone(), weight.clone().unsqueeze()];
    formula::apply(OnDevice { epsilon }, inputs).unwrap_or_else(|| composed(input, weight, epsilon))
}

#[derive(Clone, Debug)]
struct OnDevice {
    epsilon: f64,
}

impl Formula<2, 2> for OnDevice {
    fn forward(&self, [input, weight]: [Tensor<2>; 2]) -> (Tensor<2>, Vec<Tensor<2>>) {
        let [output, inverse] = device::norm_forward(&input, &weight, self.epsilon).unwrap_or_else(|| {
            let inverse = (input.clone().square().mean_dim(1) + self.epsilon).sqrt().recip();
            [input.clone() * inverse.clone() * weight.clone(), inverse]
        });
        (output, vec![input, weight, inverse])
    }

    fn backward(&self, saved: Vec<Tensor<2>>, gradient: Tensor<2>, wanted: [bool; 2]) -> [Option<Tensor<2>>; 2] {
        let [input, weight, inverse] = saved.try_into().expect("what the forward pass saved");
        let of_weight = wanted[1].then(|| (gradient.clone() * input.clone() * inverse.clone()).sum_dim(0));
        let of_input = wanted[0].then(|| {
            if let Some(found) = device::norm_backward(&input, &weight, &inverse, &gradient) {
                return found;
            }
            let (level, slope) = (input * inverse.clone(), gradient * weight);
            let along = (slope.clone() * level.clone()).mean_dim(1);
            (slope - level * along) * inverse
        });
        [of_input, of_weight]
    }
}

fn composed(input: Tensor<2>, weight: Tensor<1>, epsilon: f64) -> Tensor<2> {
    let scale = (input.clone().square().mean_dim(1) + epsilon).sqrt().recip();
    input * scale * weight.unsqueeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::fused::tests::{Random, agree};

    #[test]
    fn values_and_gradients_are_those_of_the_formula() {
        for [places, size] in [[3, 5], [2, 16], [7, 50]] {
            let mut random = Random(1);
            let (input, weight) = (random.tensor([places, size]), random.tensor([size]));
            agree(
                [input, weight.reshape([1, size])],
                |[input, weight]| rms_norm(input, weight.squeeze_dim(0), 1e-2),
                |[input, weight]| composed(input, weight.squeeze_dim(0), 1e-2),
            );
            let (input, weight) = (random.tensor([places, size]), random.tensor([1, size]));
            agree(
                [input, weight],
                |[input, weight]| on_device(input, weight.squeeze_dim(0), 1e-2),
                |[input, weight]| composed(input, weight.squeeze_dim(0), 1e-2),
            );
        }
    }
}
