//! Log-probabilities of one token at each place. Takes logits `[places, vocabulary]` and tokens; gives `[places, 1]`, in natural logarithms.
//!
//! The gradient is written over the logits if nothing else shares them, so that no second table of that size is in memory.

use burn::tensor::{Int, Tensor, TensorData, activation};
use burn_flex::FlexTensor;

use super::cpu::{
    lanes::{exp, largest, sum_exp, vectorised},
    operation::{Input, Operation, apply, contiguous, elements, elements_mut, tensor},
};

/// The token of each place.
#[derive(Clone, Debug)]
struct LogProbabilities(Vec<i32>);

/// Logits, and the logarithm of the sum of their exponentials at each place.
type Saved = (FlexTensor, Vec<f32>);

impl Operation<1> for LogProbabilities {
    type Saved = Saved;

    fn forward(&self, [logits]: [FlexTensor; 1]) -> (FlexTensor, Saved) {
        let logits = contiguous(logits);
        let [places, vocabulary] = logits.layout().shape().dims::<2>();
        let mut totals = Vec::with_capacity(places);
        let mut output = Vec::with_capacity(places);
        vectorised(|| {
            for (row, &token) in elements(&logits).chunks_exact(vocabulary).zip(&self.0) {
                let most = largest(row);
                let total = sum_exp(row, most).ln() + most;
                totals.push(total);
                output.push(row[token as usize] - total);
            }
        });
        (tensor(output, [places, 1]), (logits, totals))
    }

    fn backward(&self, (mut logits, totals): Saved, gradient: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let gradient = contiguous(gradient);
        let [_, vocabulary] = logits.layout().shape().dims::<2>();
        let values = elements_mut(&mut logits);
        let slopes = self.0.iter().zip(&totals).zip(elements(&gradient));
        vectorised(|| {
            for (row, ((&token, &total), &slope)) in values.chunks_exact_mut(vocabulary).zip(slopes) {
                for value in row.iter_mut() {
                    *value = -slope * exp(*value - total);
                }
                row[token as usize] += slope;
            }
        });
        [Some(logits)]
    }
}

/// Returns the natural logarithm of the probability of each place's token (below `vocabulary`), `[places, 1]`.
pub(crate) fn log_probabilities(logits: Tensor<2>, tokens: Vec<i32>) -> Tensor<2> {
    match Input::of(&logits) {
        Some(input) => {
            // Otherwise they would be shared, and the gradient could not be written over them.
            drop(logits);
            apply(LogProbabilities(tokens), [input])
        }
        None => composed(logits, tokens),
    }
}

fn composed(logits: Tensor<2>, tokens: Vec<i32>) -> Tensor<2> {
    let count = tokens.len();
    let tokens = Tensor::<2, Int>::from_data(TensorData::new(tokens, [count, 1]), &logits.device());
    activation::log_softmax(logits, 1).gather(1, tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::fused::tests::{Random, agree};

    #[test]
    fn values_and_gradients_are_those_of_the_formula() {
        let logits = Random(4).tensor([4, 37]) * 5.0;
        let tokens = vec![0, 36, 17, 5];
        agree([logits], |[logits]| log_probabilities(logits, tokens.clone()), |[logits]| composed(logits, tokens.clone()));
    }
}
