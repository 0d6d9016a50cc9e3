//! Attention in blocks of queries. Takes queries `[rows, width, heads, size]`, keys and values `[rows, groups, total, size]` and a mask
//! `[1 or rows, 1, width, total]` that is added to the scores; gives `[rows * width, heads * size]`.
//!
//! The matrix of all scores is never in memory, and keys to which no query of a block attends are skipped. The backward pass computes each
//! block's attention probabilities (shares) again from the logarithms of their sums, as Dao et al. 2022 do.

use burn::{
    backend::{Flex, ops::FloatTensorOps as _},
    tensor::{DType, Shape, Tensor, activation},
};
use burn_flex::{FlexTensor, Layout};

use super::cpu::{
    lanes::{exp, largest, sum, vectorised},
    operation::{Input, Operation, apply, contiguous, elements, tensor},
};

/// Number of queries of one block.
const BLOCK: usize = 64;

/// Values of the mask below this hide a place.
const HIDDEN: f32 = -1e8;

#[derive(Clone, Debug)]
struct Mix {
    scale: f32,
}

/// Queries, keys, values, mask, output, and the logarithm of each query's sum of exponentials, `[rows, heads, width]`.
type Saved = ([FlexTensor; 4], FlexTensor, Vec<f32>);

#[derive(Clone, Copy)]
struct Sizes {
    rows: usize,
    width: usize,
    heads: usize,
    groups: usize,
    total: usize,
    size: usize,
}

/// A block of queries of one head, and the keys from the first to the last that any of them attends to.
struct Block {
    row: usize,
    head: usize,
    /// The first query, and their number.
    from: usize,
    queries: usize,
    /// The first key, and their number.
    first: usize,
    keys: usize,
}

impl Sizes {
    fn of(queries: &FlexTensor, keys: &FlexTensor) -> Self {
        let [rows, width, heads, size] = queries.layout().shape().dims::<4>();
        let [_, groups, total, _] = keys.layout().shape().dims::<4>();
        Self { rows, width, heads, groups, total, size }
    }

    /// Returns the blocks, head by head, in the same order on every machine.
    fn blocks(self, mask: &FlexTensor) -> Vec<Block> {
        let masks = mask.layout().shape().dims::<4>()[0];
        let mask = elements(mask);
        let mut blocks = Vec::new();
        let starts: Vec<usize> = (0..self.width).step_by(BLOCK).collect();
        let mut seen = Vec::with_capacity(masks * starts.len());
        for table in mask.chunks_exact(self.width * self.total) {
            for block in table.chunks(BLOCK * self.total) {
                let spans = block.chunks_exact(self.total).map(|line| {
                    let first = line.iter().position(|&value| value > HIDDEN).unwrap_or(0);
                    let last = line.iter().rposition(|&value| value > HIDDEN).unwrap_or(self.total - 1);
                    (first, last)
                });
                seen.push(spans.fold((self.total, 0), |span, (first, last)| (span.0.min(first), span.1.max(last))));
            }
        }
        for row in 0..self.rows {
            for head in 0..self.heads {
                for (index, &from) in starts.iter().enumerate() {
                    let (first, last) = seen[if masks == 1 { 0 } else { row * starts.len() } + index];
                    let queries = BLOCK.min(self.width - from);
                    blocks.push(Block { row, head, from, queries, first, keys: last + 1 - first });
                }
            }
        }
        blocks
    }
}

/// Returns a view of `count` places of one head, as a matrix `[count, size]`. `axes` are those of rows, heads and places.
fn view(tensor: &FlexTensor, axes: [usize; 3], [row, head, place]: [usize; 3], count: usize) -> FlexTensor {
    let layout = tensor.layout();
    let (strides, shape) = (layout.strides(), layout.shape());
    let steps = axes.iter().zip([row, head, place]).map(|(&axis, index)| strides[axis] * index as isize).sum::<isize>();
    let offset = layout.start_offset().checked_add_signed(steps).expect("an element of the tensor");
    let layout = Layout::new(Shape::from(vec![count, shape[3]]), vec![strides[axes[2]], strides[3]], offset);
    FlexTensor::from_arc(tensor.data_arc(), layout, DType::F32)
}

/// Axes of queries and of outputs.
const BY_PLACE: [usize; 3] = [0, 2, 1];
/// Axes of keys and values.
const BY_HEAD: [usize; 3] = [0, 1, 2];

impl Mix {
    /// Computes a block's scores, scaled and masked.
    fn scores(&self, sizes: Sizes, block: &Block, queries: &FlexTensor, keys: &FlexTensor, mask: &FlexTensor) -> FlexTensor {
        let mut scores = Flex::float_matmul(queries.clone(), Flex::float_transpose(keys.clone()));
        let masks = mask.layout().shape().dims::<4>()[0];
        let table = if masks == 1 { 0 } else { block.row } * sizes.width + block.from;
        let lines = elements(mask)[table * sizes.total..].chunks(sizes.total);
        for (scores, line) in scores.storage_mut::<f32>().chunks_exact_mut(block.keys).zip(lines) {
            for (score, mask) in scores.iter_mut().zip(&line[block.first..]) {
                *score = *score * self.scale + mask;
            }
        }
        scores
    }
}

impl Operation<4> for Mix {
    type Saved = Saved;

    fn forward(&self, [queries, keys, values, mask]: [FlexTensor; 4]) -> (FlexTensor, Saved) {
        let (queries, mask) = (contiguous(queries), contiguous(mask));
        let sizes = Sizes::of(&queries, &keys);
        let line = sizes.heads * sizes.size;
        let mut output = vec![0.0; sizes.rows * sizes.width * line];
        let mut totals = vec![0.0; sizes.rows * sizes.heads * sizes.width];
        for block in sizes.blocks(&mask) {
            let group = block.head * sizes.groups / sizes.heads;
            let query = view(&queries, BY_PLACE, [block.row, block.head, block.from], block.queries);
            let key = view(&keys, BY_HEAD, [block.row, group, block.first], block.keys);
            let value = view(&values, BY_HEAD, [block.row, group, block.first], block.keys);
            let place = (block.row * sizes.heads + block.head) * sizes.width + block.from;
            let totals = &mut totals[place..place + block.queries];
            let mixed = vectorised(|| {
                let mut shares = self.scores(sizes, &block, &query, &key, &mask);
                for (line, total) in shares.storage_mut::<f32>().chunks_exact_mut(block.keys).zip(totals) {
                    let most = largest(line);
                    for share in line.iter_mut() {
                        *share = exp(*share - most);
                    }
                    let shares = sum(line, line, |share, _| share);
                    let inverse = 1.0 / shares;
                    for share in line.iter_mut() {
                        *share *= inverse;
                    }
                    *total = most + shares.ln();
                }
                Flex::float_matmul(shares, value)
            });
            let start = (block.row * sizes.width + block.from) * line + block.head * sizes.size;
            for (place, mixed) in elements(&mixed).chunks_exact(sizes.size).enumerate() {
                output[start + place * line..][..sizes.size].copy_from_slice(mixed);
            }
        }
        let output = tensor(output, [sizes.rows * sizes.width, line]);
        (output.clone(), ([queries, keys, values, mask], output, totals))
    }

    fn backward(&self, saved: Saved, gradient: FlexTensor, _: [bool; 4]) -> [Option<FlexTensor>; 4] {
        let ([queries, keys, values, mask], output, totals) = saved;
        let sizes = Sizes::of(&queries, &keys);
        let Sizes { rows, width, heads, groups, total, size } = sizes;
        let line = heads * size;
        let gradient = contiguous(gradient);
        let slopes = gradient.reshape(Shape::from(vec![rows, width, heads, size]));
        let (mixed, slope_of_mixed) = (elements(&output), elements(&gradient));
        let mut of_queries = vec![0.0; rows * width * line];
        // The layout is `[rows, total, groups, size]`, as that of the projections that keys and values come from.
        let (mut of_keys, mut of_values) = (vec![0.0; rows * total * groups * size], vec![0.0; rows * total * groups * size]);
        for block in sizes.blocks(&mask) {
            let group = block.head * groups / heads;
            let query = view(&queries, BY_PLACE, [block.row, block.head, block.from], block.queries);
            let key = view(&keys, BY_HEAD, [block.row, group, block.first], block.keys);
            let value = view(&values, BY_HEAD, [block.row, group, block.first], block.keys);
            let slope = view(&slopes, BY_PLACE, [block.row, block.head, block.from], block.queries);
            let place = (block.row * heads + block.head) * width + block.from;
            let totals = &totals[place..place + block.queries];
            let start = (block.row * width + block.from) * line + block.head * size;
            vectorised(|| {
                let mut shares = self.scores(sizes, &block, &query, &key, &mask);
                for (line, &total) in shares.storage_mut::<f32>().chunks_exact_mut(block.keys).zip(totals) {
                    for share in line {
                        *share = exp(*share - total);
                    }
                }
                let into_values = Flex::float_matmul(Flex::float_transpose(shares.clone()), slope.clone());
                let mut inner = Flex::float_matmul(slope, Flex::float_transpose(value));
                let lines =
                    inner.storage_mut::<f32>().chunks_exact_mut(block.keys).zip(elements(&shares).chunks_exact(block.keys));
                for (query, (inner, shares)) in lines.enumerate() {
                    let range = start + query * line..start + query * line + size;
                    let along = sum(&mixed[range.clone()], &slope_of_mixed[range], |mixed, slope| mixed * slope);
                    for (inner, share) in inner.iter_mut().zip(shares) {
                        *inner = share * (*inner - along) * self.scale;
                    }
                }
                let into_queries = Flex::float_matmul(inner.clone(), key);
                let into_keys = Flex::float_matmul(Flex::float_transpose(inner), query);
                for (place, found) in elements(&into_queries).chunks_exact(size).enumerate() {
                    of_queries[start + place * line..][..size].copy_from_slice(found);
                }
                let first = (block.row * total + block.first) * groups * size + group * size;
                for (sums, found) in [(&mut of_keys, &into_keys), (&mut of_values, &into_values)] {
                    for (place, found) in elements(found).chunks_exact(size).enumerate() {
                        for (sum, found) in sums[first + place * groups * size..][..size].iter_mut().zip(found) {
                            *sum += found;
                        }
                    }
                }
            });
        }
        let by_head = |values: Vec<f32>| {
            let strides = [total * groups * size, size, groups * size, 1].map(|stride| stride as isize);
            tensor(values, [rows, groups, total, size]).with_layout(Layout::new(
                Shape::from(vec![rows, groups, total, size]),
                strides.to_vec(),
                0,
            ))
        };
        [Some(tensor(of_queries, [rows, width, heads, size])), Some(by_head(of_keys)), Some(by_head(of_values)), None]
    }
}

/// Computes attention: softmax of the scaled scores plus `mask`, times values. Shapes are those of the module's documentation.
pub(crate) fn mix([queries, keys, values]: [Tensor<4>; 3], mask: &Tensor<4>, scale: f64) -> Tensor<2> {
    match (Input::of(&queries), Input::of(&keys), Input::of(&values), Input::of(mask)) {
        (Some(queries), Some(keys), Some(values), Some(mask @ Input::Constant(_))) => {
            apply(Mix { scale: scale as f32 }, [queries, keys, values, mask])
        }
        _ => composed([queries, keys, values], mask, scale),
    }
}

fn composed([queries, keys, values]: [Tensor<4>; 3], mask: &Tensor<4>, scale: f64) -> Tensor<2> {
    let [rows, width, heads, size] = queries.dims();
    let [_, groups, total, _] = keys.dims();
    // Query heads that share a key head are rows of the same matrix, so that keys and values are never repeated.
    let queries = queries.swap_dims(1, 2).reshape([rows, groups, heads / groups * width, size]);
    let scores = queries.matmul(keys.swap_dims(2, 3)).mul_scalar(scale);
    let scores = scores.reshape([rows, heads, width, total]) + mask.clone();
    let shares = activation::softmax(scores, 3).reshape([rows, groups, heads / groups * width, total]);
    let mixed = shares.matmul(values).reshape([rows, heads, width, size]).swap_dims(1, 2);
    mixed.reshape([rows * width, heads * size])
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::models::fused::tests::{Random, agree};

    /// Returns a causal mask with a window, over `past` earlier places and `width` own ones, with one place of one row hidden.
    fn mask(rows: usize, width: usize, past: usize, window: usize) -> Tensor<4> {
        let total = past + width;
        let seen = |row: usize, from: usize, to: usize| {
            let hidden = row == 1 && to == past + 1 && from != 1;
            to <= past + from && past + from - to < window && !hidden
        };
        let value = |index: usize| {
            let (row, from, to) = (index / (width * total), index / total % width, index % total);
            if seen(row, from, to) { 0.0_f32 } else { -1e9 }
        };
        let values: Vec<f32> = (0..rows * width * total).map(value).collect();
        Tensor::from_data(TensorData::new(values, [rows, 1, width, total]), &Device::flex())
    }

    #[test]
    fn values_and_gradients_are_those_of_the_formula_for_grouped_masked_and_blocked_queries() {
        let mut random = Random(5);
        for (rows, masks, width, past, heads, groups, window) in
            [(2, 2, 5, 0, 4, 2, 99), (2, 1, 9, 3, 2, 2, 4), (1, 1, BLOCK + 7, 2, 2, 1, BLOCK), (1, 1, 1, 4, 2, 1, 99)]
        {
            let (size, total) = (6, past + width);
            let mask = mask(masks, width, past, window);
            let shape = move |[queries, keys, values]: [Tensor<2>; 3]| {
                let by_head = |tensor: Tensor<2>| tensor.reshape([rows, total, groups, size]).swap_dims(1, 2);
                [queries.reshape([rows, width, heads, size]), by_head(keys), by_head(values)]
            };
            agree(
                [
                    random.tensor([rows * width, heads * size]),
                    random.tensor([rows * total, groups * size]),
                    random.tensor([rows * total, groups * size]),
                ],
                |inputs| mix(shape(inputs), &mask, 0.7),
                |inputs| composed(shape(inputs), &mask, 0.7),
            );
        }
    }
}
