//! Attention on devices whose memory this program does not access. Takes queries `[rows, width, heads, size]`, keys and values
//! `[rows, groups, total, size]` and a mask `[1 or rows, 1, width, total]` that is added to the scores; gives `[rows * width, heads * size]`.
//!
//! The attention probabilities (shares) are computed again in the backward pass, and not kept.

use burn::tensor::{DType, Tensor, activation};

use super::{
    Scoring,
    formula::{self, Formula},
    multiply::product,
};

#[derive(Clone, Debug)]
struct Mix(Scoring);

impl Mix {
    /// Returns the scaled scores before the mask. With a soft cap, they are `tanh(scores / cap)`, still to be multiplied by the cap.
    fn scores(&self, likeness: Tensor<4>) -> Tensor<4> {
        let scores = likeness.cast(DType::F32) * self.0.scale;
        match self.0.softcap {
            Some(bound) => (scores / bound).tanh(),
            None => scores,
        }
    }

    /// Returns the attention probabilities of scores as [`Mix::scores`] returns them, in the same shape.
    fn shares(&self, scores: Tensor<4>, mask: Tensor<4>) -> Tensor<4> {
        let [rows, groups, lines, total] = scores.dims();
        let (heads, width) = (self.0.heads, mask.dims()[2]);
        debug_assert_eq!(groups * lines, heads * width);
        let scores = match self.0.softcap {
            Some(bound) => scores * bound,
            None => scores,
        };
        let scores = scores.reshape([rows, heads, width, total]) + mask;
        activation::softmax(scores, 3).reshape([rows, groups, lines, total])
    }

    /// Returns the attention probabilities, and the gradient of the products of queries and keys from that of the probabilities.
    fn slopes(&self, likeness: Tensor<4>, mask: Tensor<4>, of_shares: Tensor<4>) -> [Tensor<4>; 2] {
        let dtype = likeness.dtype();
        let scores = self.scores(likeness);
        let shares = self.shares(scores.clone(), mask);
        let of_shares = of_shares.cast(DType::F32);
        let along = (of_shares.clone() * shares.clone()).sum_dim(3);
        let mut of_scores = shares.clone() * (of_shares - along) * self.0.scale;
        if self.0.softcap.is_some() {
            of_scores = of_scores * (scores.square().neg() + 1.0);
        }
        [shares, of_scores].map(|tensor| tensor.cast(dtype))
    }
}

/// Queries are `[rows, groups, heads / groups * width, size]`: query heads that share a key head are rows of the same matrix.
impl Formula<4, 4> for Mix {
    fn forward(&self, [queries, keys, values, mask]: [Tensor<4>; 4]) -> (Tensor<4>, Vec<Tensor<4>>) {
        let likeness = product(queries.clone(), keys.clone(), [false, true]);
        let shares = super::attention_shares(&likeness, &mask, self.0).unwrap_or_else(|| {
            let dtype = likeness.dtype();
            self.shares(self.scores(likeness), mask.clone()).cast(dtype)
        });
        (product(shares, values.clone(), [false, false]), vec![queries, keys, values, mask])
    }

    fn backward(&self, saved: Vec<Tensor<4>>, gradient: Tensor<4>, wanted: [bool; 4]) -> [Option<Tensor<4>>; 4] {
        let [queries, keys, values, mask] = saved.try_into().expect("what the forward pass saved");
        let likeness = product(queries.clone(), keys.clone(), [false, true]);
        let of_shares = product(gradient.clone(), values, [false, true]);
        let [shares, of_scores] = super::attention_slopes(&likeness, &mask, &of_shares, self.0)
            .unwrap_or_else(|| self.slopes(likeness, mask, of_shares));
        let of_values = wanted[2].then(|| product(shares, gradient, [true, false]));
        let of_queries = wanted[0].then(|| product(of_scores.clone(), keys, [false, false]));
        let of_keys = wanted[1].then(|| product(of_scores, queries, [true, false]));
        // The mask is a constant.
        [of_queries, of_keys, of_values, None]
    }
}

/// Computes attention. Queries, keys and values are of one type, in which products are computed and which the result has.
pub(crate) fn mix_on_device(
    [queries, keys, values]: [Tensor<4>; 3],
    mask: &Tensor<4>,
    scale: f64,
    softcap: Option<f64>,
) -> Tensor<2> {
    let [rows, width, heads, size] = queries.dims();
    let groups = keys.dims()[1];
    let queries = queries.swap_dims(1, 2).reshape([rows, groups, heads / groups * width, size]);
    let mix = Mix(Scoring { heads, scale, softcap });
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
                |inputs| mix_on_device(shaped(inputs), &mask, 0.6, softcap),
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
