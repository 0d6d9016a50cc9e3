//! Attention on devices whose memory this program does not reach: the shares are made again in the backward pass, and not held.
//!
//! Queries `[rows, width, heads, size]`, keys and values `[rows, groups, total, size]` and a mask `[1 or rows, 1, width, total]` that is added
//! to the scores in; `[rows * width, heads * size]` out.

use burn::tensor::{DType, Tensor, activation};

use super::formula::{self, Formula};

#[derive(Clone, Debug)]
struct Mix {
    scale: f64,
    /// Bound of the scores, kept softly by `tanh`.
    softcap: Option<f64>,
    /// Whether products are computed of bfloat16.
    half: bool,
    heads: usize,
}

impl Mix {
    /// Multiplies, and returns f32.
    fn product(&self, left: Tensor<4>, right: Tensor<4>) -> Tensor<4> {
        self.factor(left).matmul(self.factor(right)).cast(DType::F32)
    }

    fn factor(&self, tensor: Tensor<4>) -> Tensor<4> {
        if self.half { tensor.cast(DType::BF16) } else { tensor }
    }

    /// Returns scores before the mask, less the bound's part: `tanh` of them over the bound, where there is one.
    fn scores(&self, queries: Tensor<4>, keys: Tensor<4>) -> Tensor<4> {
        let scores = self.product(queries, keys.swap_dims(2, 3)) * self.scale;
        match self.softcap {
            Some(bound) => (scores / bound).tanh(),
            None => scores,
        }
    }

    /// Turns what [`Mix::scores`] gave into shares, in its shape.
    fn shares(&self, scores: Tensor<4>, mask: Tensor<4>) -> Tensor<4> {
        let [rows, groups, lines, total] = scores.dims();
        let width = mask.dims()[2];
        debug_assert_eq!(groups * lines, self.heads * width);
        let scores = match self.softcap {
            Some(bound) => scores * bound,
            None => scores,
        };
        let scores = scores.reshape([rows, self.heads, width, total]) + mask;
        activation::softmax(scores, 3).reshape([rows, groups, lines, total])
    }
}

/// The query heads that share a key head are folded into its rows, `[rows, groups, heads / groups * width, size]`.
impl Formula<4, 4> for Mix {
    fn forward(&self, [queries, keys, values, mask]: [Tensor<4>; 4]) -> (Tensor<4>, Vec<Tensor<4>>) {
        let [queries, keys, values] = [queries, keys, values].map(|factor| self.factor(factor));
        let shares = self.shares(self.scores(queries.clone(), keys.clone()), mask.clone());
        (self.product(shares, values.clone()), vec![queries, keys, values, mask])
    }

    fn backward(&self, saved: Vec<Tensor<4>>, gradient: Tensor<4>, wanted: [bool; 4]) -> [Option<Tensor<4>>; 4] {
        let [queries, keys, values, mask] = saved.try_into().expect("what the forward pass saved");
        let scores = self.scores(queries.clone(), keys.clone());
        let shares = self.shares(scores.clone(), mask);
        let of_values = wanted[2].then(|| self.product(shares.clone().swap_dims(2, 3), gradient.clone()));
        let of_shares = self.product(gradient, values.swap_dims(2, 3));
        let along = (of_shares.clone() * shares.clone()).sum_dim(3);
        let mut of_scores = shares * (of_shares - along) * self.scale;
        if self.softcap.is_some() {
            of_scores = of_scores * (scores.square().neg() + 1.0);
        }
        let of_queries = wanted[0].then(|| self.product(of_scores.clone(), keys));
        let of_keys = wanted[1].then(|| self.product(of_scores.swap_dims(2, 3), queries));
        // The mask is a constant.
        [of_queries, of_keys, of_values, None]
    }
}

/// Mixes values by the likeness of queries and keys; `half` says whether products are computed of bfloat16.
pub(in crate::models) fn mix_elsewhere(
    [queries, keys, values]: [Tensor<4>; 3],
    mask: &Tensor<4>,
    scale: f64,
    softcap: Option<f64>,
    half: bool,
) -> Tensor<2> {
    let [rows, width, heads, size] = queries.dims();
    let groups = keys.dims()[1];
    let queries = queries.swap_dims(1, 2).reshape([rows, groups, heads / groups * width, size]);
    let mix = Mix { scale, softcap, half, heads };
    let inputs = [queries, keys, values, mask.clone()];
    let mixed = formula::apply(mix.clone(), inputs.clone()).unwrap_or_else(|| mix.forward(inputs).0);
    mixed.reshape([rows, heads, width, size]).swap_dims(1, 2).reshape([rows * width, heads * size])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::fused::tests::{Random, agree};

    #[test]
    fn values_and_gradients_are_those_of_the_formula() {
        for softcap in [None, Some(0.7)] {
            let [rows, width, groups, heads, size] = [2, 3, 2, 4, 5];
            let mut random = Random(8);
            let mask =
                Tensor::from_data([[[[0.0, -1e9, -1e9], [0.0, 0.0, -1e9], [-1e9, 0.0, 0.0_f32]]]], &burn::tensor::Device::flex());
            let inputs = [random.tensor([rows * width, heads * size]), random.tensor([rows * groups, width * size])];
            let shaped = |[queries, keys]: [Tensor<2>; 2]| {
                let keys = keys.reshape([rows, groups, width, size]);
                [queries.reshape([rows, width, heads, size]), keys.clone(), keys.flip([3])]
            };
            agree(
                inputs,
                |inputs| mix_elsewhere(shaped(inputs), &mask, 0.6, softcap, false),
                |inputs| {
                    let [queries, keys, values] = shaped(inputs);
                    let repeated = |tensor: Tensor<4>| {
                        let spread = tensor.reshape([rows * groups, 1, width, size]).repeat_dim(1, heads / groups);
                        spread.reshape([rows, heads, width, size])
                    };
                    let scores = queries.swap_dims(1, 2).matmul(repeated(keys).swap_dims(2, 3)) * 0.6;
                    let scores = softcap.map_or(scores.clone(), |bound| (scores / bound).tanh() * bound) + mask.clone();
                    let mixed = activation::softmax(scores, 3).matmul(repeated(values));
                    mixed.swap_dims(1, 2).reshape([rows * width, heads * size])
                },
            );
        }
    }
}
