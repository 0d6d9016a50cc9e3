//! Attention with grouped queries. Takes queries, keys and values, with those of earlier passes from a cache; gives the attention's output.

use burn::tensor::{Device, Int, Tensor, TensorData, activation};

use super::rotary::{Rope, Rotation};
use crate::models::{batch::Batch, device::is_processor, fused, weights::parameters::Parameters};

/// Keys and values of the tokens that a model has read, by layer, so that the next pass reads only new tokens.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cache {
    /// `[rows, groups, tokens, head_dim]` each.
    layers: Vec<(Tensor<4>, Tensor<4>)>,
    tokens: usize,
}

impl Cache {
    /// Returns the cache of one row, repeated for this many rows.
    pub(crate) fn repeated(&self, rows: usize) -> Self {
        if rows == 1 {
            return self.clone();
        }
        let layers =
            self.layers.iter().map(|(keys, values)| (keys.clone().repeat_dim(0, rows), values.clone().repeat_dim(0, rows)));
        Self { layers: layers.collect(), tokens: self.tokens }
    }

    /// Returns the number of tokens read.
    pub(crate) fn tokens(&self) -> usize {
        self.tokens
    }
}

/// One forward pass: the batch, the cache of earlier passes, and the weights.
pub(crate) struct Pass<'a> {
    batch: &'a Batch,
    device: Device,
    cache: Option<&'a mut Cache>,
    past: usize,
    /// Number of tokens of the longest row, by its positions.
    length: usize,
    parameters: &'a Parameters,
    /// Index of the last layer.
    last: usize,
    /// Places whose logits are wanted; `None` if these are all places in order.
    places: Option<Tensor<1, Int>>,
}

impl<'a> Pass<'a> {
    /// Opens a pass of `layers` layers over a batch, for the logits of some places. `length` is the number of tokens of the longest row,
    /// which may be in another batch of the same computation.
    pub(crate) fn new(
        batch: &'a Batch,
        places: &[usize],
        cache: Option<&'a mut Cache>,
        length: usize,
        layers: usize,
        parameters: &'a Parameters,
    ) -> Self {
        let past = cache.as_ref().map_or(0, |cache| cache.tokens);
        let all = places.len() == batch.rows * batch.width && places.iter().enumerate().all(|(index, &place)| index == place);
        let places = (!all).then(|| {
            let indices: Vec<i32> = places.iter().map(|&place| place as i32).collect();
            Tensor::from_data(TensorData::new(indices, [places.len()]), parameters.device())
        });
        Self {
            batch,
            device: parameters.device().clone(),
            cache,
            past,
            length,
            parameters,
            last: layers.saturating_sub(1),
            places,
        }
    }

    /// Keeps only the wanted places in the last layer, since after its attention no place depends on another.
    pub(crate) fn wanted(&self, layer: usize, activations: Tensor<2>) -> Tensor<2> {
        match &self.places {
            Some(places) if layer == self.last => activations.select(0, places.clone()),
            _ => activations,
        }
    }

    /// Counts the batch's tokens as read, in the cache.
    pub(crate) fn close(self) {
        if let Some(cache) = self.cache {
            cache.tokens += self.batch.width;
        }
    }

    /// Returns the token of each place, `[rows * width]`.
    pub(crate) fn tokens(&self) -> &[i32] {
        &self.batch.ids
    }

    /// Returns the angles of each place.
    pub(crate) fn rotation(&self, rope: &Rope, head_dim: usize) -> Rotation {
        rope.rotation(head_dim, &self.batch.positions, self.batch.rows, self.length, &self.device)
    }

    /// Returns the mask, `[1 or rows, 1, width, past + width]`: 0 where a place attends to another, else a large negative number.
    ///
    /// `window` is the number of tokens that a place attends to, including itself.
    pub(crate) fn mask(&self, window: Option<usize>) -> Tensor<4> {
        if !is_processor(&self.device) {
            return self.mask_on_device(window);
        }
        let (width, past) = (self.batch.width, self.past);
        let masks = if self.batch.branches.is_some() { self.batch.rows } else { 1 };
        let mut mask = Vec::with_capacity(masks * width * (past + width));
        for row in 0..masks {
            for from in 0..width {
                let offset = past + self.batch.offset(row, from);
                let near = |other: usize| window.is_none_or(|window| offset - other < window);
                mask.extend((0..past).map(|to| if near(to) { 0.0_f32 } else { UNSEEN }));
                mask.extend((0..width).map(|to| {
                    let seen = self.batch.sees(row, from, to) && near(past + self.batch.offset(row, to));
                    if seen { 0.0 } else { UNSEEN }
                }));
            }
        }
        Tensor::from_data(TensorData::new(mask, [masks, 1, width, past + width]), &self.device)
    }

    /// Computes the same mask on another device than the processor, from one number for each place.
    fn mask_on_device(&self, window: Option<usize>) -> Tensor<4> {
        let Batch { rows, width, branches, .. } = self.batch;
        let (width, past) = (*width, self.past);
        let masks = if branches.is_some() { *rows } else { 1 };
        let total = past + width;
        let numbers = |count: usize, number: &dyn Fn(usize, usize) -> usize| {
            let places = (0..masks).flat_map(|row| (0..count).map(move |column| (row, column)));
            let numbers: Vec<i32> = places.map(|(row, column)| i32::try_from(number(row, column)).unwrap_or(-1)).collect();
            Tensor::<1, Int>::from_data(TensorData::new(numbers, [masks * count]), &self.device)
        };
        let looking = |tensor: Tensor<1, Int>| tensor.reshape([masks, width, 1]).expand([masks, width, total]);
        let seen = |tensor: Tensor<1, Int>| tensor.reshape([masks, 1, total]).expand([masks, width, total]);
        // Tokens that were read before are in the columns before those of this batch.
        let mut hidden = seen(numbers(total, &|_, column| column)).greater(looking(numbers(width, &|_, column| past + column)));
        if let Some(branches) = branches {
            let branch = |row: usize, column: usize| branches[row * width + column];
            let ours = looking(numbers(width, &branch));
            let theirs = seen(numbers(total, &|row, column| column.checked_sub(past).map_or(0, |column| branch(row, column))));
            hidden = hidden.bool_or(theirs.clone().not_equal(ours).bool_and(theirs.not_equal_elem(0)));
        }
        if let Some(window) = window {
            let offset = |row: usize, column: usize| past + self.batch.offset(row, column);
            let ours = looking(numbers(width, &offset));
            let theirs = seen(numbers(total, &|row, column| column.checked_sub(past).map_or(column, |own| offset(row, own))));
            hidden = hidden.bool_or((ours - theirs).greater_equal_elem(i32::try_from(window).unwrap_or(i32::MAX)));
        }
        (hidden.float() * UNSEEN).reshape([masks, 1, width, total])
    }

    /// Returns the masks of layers without and with a window.
    pub(crate) fn masks(&self, window: Option<usize>) -> ByKind<Tensor<4>> {
        ByKind { full: self.mask(None), sliding: window.map(|window| self.mask(Some(window))) }
    }

    /// Splits projected activations into heads: `[rows * width, heads * size]` to `[rows, width, heads, size]`.
    pub(crate) fn heads(&self, projected: Tensor<2>, heads: usize) -> Tensor<4> {
        let size = projected.dims()[1] / heads;
        projected.reshape([self.batch.rows, self.batch.width, heads, size])
    }

    /// Appends this pass's keys and values to those of the passes before, `[rows, groups, tokens, size]`.
    fn remember(&mut self, layer: usize, keys: Tensor<4>, values: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let Some(cache) = &mut self.cache else { return (keys, values) };
        let both = match cache.layers.get(layer) {
            Some((past_keys, past_values)) => {
                (Tensor::cat(vec![past_keys.clone(), keys], 2), Tensor::cat(vec![past_values.clone(), values], 2))
            }
            None => (keys, values),
        };
        if layer < cache.layers.len() {
            cache.layers[layer] = both.clone();
        } else {
            cache.layers.push(both.clone());
        }
        both
    }
}

/// What all layers of one pass share, and none changes.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    /// The angles of each place.
    pub(crate) rotation: ByKind<Rotation>,
    /// The mask, as by [`Pass::mask`].
    pub(crate) mask: ByKind<Tensor<4>>,
}

/// A thing for layers with full attention, and another for those with a window if theirs differs.
#[derive(Clone, Debug)]
pub(crate) struct ByKind<T> {
    pub(crate) full: T,
    pub(crate) sliding: Option<T>,
}

impl<T> ByKind<T> {
    /// Uses one thing for all layers.
    pub(crate) fn all(thing: T) -> Self {
        Self { full: thing, sliding: None }
    }

    /// Returns the thing of a layer. `slides` says whether it has a window.
    pub(crate) fn of(&self, slides: bool) -> &T {
        match &self.sliding {
            Some(sliding) if slides => sliding,
            _ => &self.full,
        }
    }
}

/// Added to the score of a hidden place, so that its probability rounds to 0. It is finite, so that a row of hidden places gives no NaN.
const UNSEEN: f32 = -1e9;

/// The settings by which kinds of attention differ.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attention {
    /// Factor of the scores.
    pub(crate) scale: f64,
    /// Soft cap of the scores: `cap * tanh(scores / cap)` (Gemma 2).
    pub(crate) softcap: Option<f64>,
}

impl Attention {
    /// Returns the usual attention: scores are divided by the root of the head's size, without a cap.
    pub(crate) fn usual(head_dim: usize) -> Self {
        Self { scale: (head_dim as f64).sqrt().recip(), softcap: None }
    }

    /// Computes attention of queries, keys and values, `[rows, width, heads, size]` each. Returns `[rows * width, heads * size]`; in the last
    /// layer, only the wanted places.
    pub(crate) fn mix(
        self,
        [queries, keys, values]: [Tensor<4>; 3],
        mask: &Tensor<4>,
        pass: &mut Pass<'_>,
        layer: usize,
    ) -> Tensor<2> {
        let [rows, width, heads, size] = queries.dims();
        let groups = keys.dims()[2];
        let (keys, values) = pass.remember(layer, keys.swap_dims(1, 2), values.swap_dims(1, 2));
        if !is_processor(&pass.device) {
            let factors = [queries, keys, values].map(|factor| pass.parameters.factor(factor));
            return pass.wanted(layer, fused::mix_on_device(factors, mask, self.scale, self.softcap));
        }
        if self.softcap.is_none() && !pass.parameters.computes_in_half() {
            return pass.wanted(layer, fused::mix([queries, keys, values], mask, self.scale));
        }
        let total = keys.dims()[2];
        // Query heads that share a key head are rows of the same matrix, so that keys and values are never repeated.
        let queries = queries.swap_dims(1, 2).reshape([rows, groups, heads / groups * width, size]);
        let round = |factor| pass.parameters.rounded(factor);
        let [queries, keys, values] = [queries, keys, values].map(round);
        let scores = round(round(queries.matmul(keys.swap_dims(2, 3))).mul_scalar(self.scale));
        let scores = match self.softcap {
            Some(bound) => softly_bounded(scores, bound),
            None => scores,
        };
        let scores = scores.reshape([rows, heads, width, total]) + mask.clone();
        let shares = activation::softmax(scores, 3).reshape([rows, groups, heads / groups * width, total]);
        let mixed = round(round(shares).matmul(values)).reshape([rows, heads, width, size]).swap_dims(1, 2);
        pass.wanted(layer, mixed.reshape([rows * width, heads * size]))
    }
}

/// Applies a soft cap: returns `bound * tanh(x / bound)`, which is between `-bound` and `bound`.
pub(crate) fn softly_bounded<const D: usize>(values: Tensor<D>, bound: f64) -> Tensor<D> {
    (values / bound).tanh() * bound
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::models::Row;

    /// The processor stands in for another device.
    #[test]
    fn a_mask_is_the_same_wherever_it_is_made() {
        let parameters = Parameters::new(BTreeMap::new(), Device::flex());
        let branched = Batch::new(&[
            &Row::new(vec![1; 3], vec![vec![4, 5, 6], vec![7, 8]]),
            &Row::new(vec![1, 2], vec![vec![4], vec![7, 8, 9]]),
        ]);
        let mut packed = Batch::empty(2, 7);
        packed.pack(0, &[3, 4]);
        packed.pack(1, &[2, 2]);
        let plain = Batch::plain(&[vec![1; 5], vec![2; 5]]).unwrap();
        for batch in [branched, packed, plain] {
            for past in [0, 3] {
                let mut cache = Cache { layers: Vec::new(), tokens: past };
                let pass = Pass::new(&batch, &[0], Some(&mut cache), 9, 1, &parameters);
                for window in [None, Some(1), Some(2), Some(4)] {
                    let mask = |mask: Tensor<4>| (mask.dims(), mask.into_data().try_into_vec::<f32>().unwrap());
                    assert_eq!(mask(pass.mask_on_device(window)), mask(pass.mask(window)), "past {past}, {window:?}, {batch:?}");
                }
            }
        }
    }
}
