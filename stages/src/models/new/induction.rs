//! Initial weights of attention with induction heads (Olsson et al. 2022). Takes sizes and random numbers; gives the attention of the first
//! and the last layer.
//!
//! A decoder that has to name the route whose description fits looks for an earlier place of the current token and says what is written there.
//! From small random weights, a small decoder does not learn that in millions of tokens. These weights do it before any training, and training
//! builds on it.
//!
//! - The first layer, by its biases alone: half of the heads attend to the token before, half to about the last ten. Their outputs have
//!   separate directions, beside the embedding.
//! - The last layer: queries are computed from the current token, and keys from the token before each place, so that heads attend to what
//!   followed the same token earlier. Half of them write the token that they find; half write the tokens around it, such as the name before a
//!   word of a description.
//!
//! Rotary pairs are used by their frequency: fast pairs distinguish near places, and slow pairs, which distance hardly rotates, find far ones.
//! Layers between are initialised as usual.

use std::{collections::BTreeMap, ops::Range};

use burn::tensor::Device;

use super::NewModel;
use crate::{
    models::weights::weight::{Weight, weight_of},
    random::Random,
};

/// Standard deviation of embeddings, as a multiple of `initializer_range`. The attention's outputs have the same scale.
pub(crate) const EMBEDDING_SCALE: f64 = 4.0;

/// The rotary pairs by which the token before is found, and those for the last tokens, by their angle from one position to the next (radians).
const PREVIOUS: Range<f64> = 0.09..f64::INFINITY;
const LAST: Range<f64> = 0.025..0.09;

/// The pairs by which a token is found at any distance, by the same angle.
const ANYWHERE: Range<f64> = 0.0..0.015;

/// Sizes of biases. With the first, the token before gets nearly all of a head's attention; with the second, the last ten tokens share it.
const PREVIOUS_BIAS: f64 = 6.0;
const LAST_BIAS: f64 = 5.0;

/// Factor of queries and keys in the last layer: an equal token gets most of a head's attention.
const MATCH: f64 = 3.0;

/// Factor of the tokens around a token, of which the attention writes the mean.
const SURROUNDINGS: f64 = 1.5;

/// Number of layers that have such weights.
const LAYERS: usize = 2;

/// A matrix as a list of its rows.
type Rows = Vec<Vec<f64>>;

/// The attention of one layer: matrices `[out, in]`, and the biases that are not 0.
struct Attention {
    queries: Rows,
    keys: Rows,
    values: Rows,
    outputs: Rows,
    query_bias: Vec<f64>,
    key_bias: Vec<f64>,
}

/// Checks that there are such weights for these sizes.
///
/// # Errors
/// A sentence that names the first wrong setting, and what it must be.
pub(crate) fn check(new: &NewModel) -> Result<(), String> {
    if new.num_hidden_layers < LAYERS {
        return Err(format!("`attention: reading` takes two layers, and `num_hidden_layers` is {}", new.num_hidden_layers));
    }
    if new.num_key_value_heads != new.num_attention_heads || !new.num_attention_heads.is_multiple_of(2) {
        return Err(format!(
            "`attention: reading` takes an even number of heads with keys of their own, and `num_attention_heads` is {} and \
             `num_key_value_heads` {}",
            new.num_attention_heads, new.num_key_value_heads
        ));
    }
    if [PREVIOUS, LAST, ANYWHERE].iter().any(|turns| pairs(new, turns).is_empty()) {
        return Err(format!(
            "`attention: reading` takes wide heads, and {} of `hidden_size` {} have too few rotary pairs with `rope_theta` {}",
            new.num_attention_heads, new.hidden_size, new.rope_theta
        ));
    }
    Ok(())
}

/// Draws the weights of attention that differ from those of other decoders, by name: those of the first and the last layer, and all biases.
pub(crate) fn weights(new: &NewModel, random: &mut Random) -> BTreeMap<String, Weight> {
    let hidden = new.hidden_size;
    let mut weights = BTreeMap::new();
    let mut put = |name: String, shape: &[usize], values: &[Vec<f64>]| {
        let values = values.iter().flatten().map(|value| *value as f32).collect();
        weights.insert(name, Weight::dense(shape, values, &Device::flex()));
    };
    for index in 0..new.num_hidden_layers {
        for name in ["q_proj", "k_proj", "v_proj", "o_proj"] {
            put(format!("model.layers.{index}.self_attn.{name}.bias"), &[hidden], &[vec![0.0; hidden]]);
        }
    }
    for (index, attention) in [0, new.num_hidden_layers - 1].into_iter().zip(attention(new, random)) {
        let Attention { queries, keys, values, outputs, query_bias, key_bias } = attention;
        for (name, matrix) in [("q_proj", queries), ("k_proj", keys), ("v_proj", values), ("o_proj", outputs)] {
            put(weight_of(&format!("model.layers.{index}.self_attn.{name}")), &[hidden, hidden], &matrix);
        }
        for (name, bias) in [("q_proj", query_bias), ("k_proj", key_bias)] {
            put(format!("model.layers.{index}.self_attn.{name}.bias"), &[hidden], &[bias]);
        }
    }
    weights
}

fn attention(new: &NewModel, random: &mut Random) -> [Attention; LAYERS] {
    let (hidden, half) = (new.hidden_size, new.hidden_size / 2);
    let small = |random: &mut Random| -> Rows {
        (0..hidden).map(|_| (0..hidden).map(|_| random.normal() * new.initializer_range).collect()).collect()
    };
    // The first half of the values and outputs carries the token before, the second half carries the last tokens.
    let seen = [orthonormal(random, half, hidden), orthonormal(random, half, hidden)];
    let written = orthonormal(random, hidden, hidden);
    let [before, around] = [&written[..half], &written[half..]];

    let (query_bias, key_bias) = by_place(new);
    let first = Attention {
        queries: small(random),
        keys: small(random),
        values: seen.concat(),
        outputs: turned_over(&scaled(&written, EMBEDDING_SCALE * new.initializer_range)),
        query_bias,
        key_bias,
    };

    let (queries, keys) = by_content(new, random, &seen[0], before);
    let token = orthonormal(random, half, hidden);
    let second = Attention {
        queries,
        keys,
        values: [&token[..], around].concat(),
        outputs: turned_over(&[token, scaled(&seen[1], SURROUNDINGS)].concat()),
        query_bias: vec![0.0; hidden],
        key_bias: vec![0.0; hidden],
    };
    [first, second]
}

/// Returns the biases of queries and keys in the first layer. A rotary pair contributes most to the score if the angle between two places
/// equals that between the biases.
fn by_place(new: &NewModel) -> (Vec<f64>, Vec<f64>) {
    let (mut query_bias, mut key_bias) = (vec![0.0; new.hidden_size], vec![0.0; new.hidden_size]);
    let size = head_size(new);
    for (head, start) in (0..new.hidden_size).step_by(size).enumerate() {
        let (turns, bias, back) =
            if head < new.num_attention_heads / 2 { (PREVIOUS, PREVIOUS_BIAS, 1.0) } else { (LAST, LAST_BIAS, 0.0) };
        for pair in pairs(new, &turns) {
            let angle = back * turn(new, pair);
            key_bias[start + pair] = bias;
            query_bias[start + pair] = bias * angle.cos();
            query_bias[start + pair + size / 2] = -bias * angle.sin();
        }
    }
    (query_bias, key_bias)
}

/// Returns queries and keys of the last layer. They match if the current token, read by `seen`, equals the token before a place, read by
/// `before`. Each half of the heads has separate directions.
fn by_content(new: &NewModel, random: &mut Random, seen: &[Vec<f64>], before: &[Vec<f64>]) -> (Rows, Rows) {
    let (hidden, size) = (new.hidden_size, head_size(new));
    let slow = pairs(new, &ANYWHERE);
    let (mut queries, mut keys) = (vec![vec![0.0; hidden]; hidden], vec![vec![0.0; hidden]; hidden]);
    for heads in [0..new.num_attention_heads / 2, new.num_attention_heads / 2..new.num_attention_heads] {
        let rows: Vec<_> = heads
            .flat_map(|head| slow.iter().flat_map(move |pair| [pair, &(pair + size / 2)].map(|at| head * size + at)))
            .collect();
        for (row, mix) in rows.iter().zip(orthonormal(random, rows.len(), seen.len())) {
            queries[*row] = mixed(&mix, seen);
            keys[*row] = mixed(&mix, before);
        }
    }
    (queries, keys)
}

/// Returns the weighted sum of rows.
fn mixed(weights: &[f64], rows: &[Vec<f64>]) -> Vec<f64> {
    (0..rows[0].len()).map(|at| MATCH * weights.iter().zip(rows).map(|(weight, row)| weight * row[at]).sum::<f64>()).collect()
}

fn head_size(new: &NewModel) -> usize {
    new.hidden_size / new.num_attention_heads
}

/// Returns the angle by which a rotary pair is rotated from one position to the next, in radians.
fn turn(new: &NewModel, pair: usize) -> f64 {
    new.rope_theta.powf(-2.0 * pair as f64 / head_size(new) as f64)
}

fn pairs(new: &NewModel, turns: &Range<f64>) -> Vec<usize> {
    (0..head_size(new) / 2).filter(|&pair| turns.contains(&turn(new, pair))).collect()
}

/// Draws `count` orthonormal directions (Gram and Schmidt, twice because of rounding). `count` is at most `width`.
fn orthonormal(random: &mut Random, count: usize, width: usize) -> Rows {
    let mut rows: Rows = Vec::with_capacity(count);
    for _ in 0..count {
        let mut row: Vec<f64> = (0..width).map(|_| random.normal()).collect();
        for other in rows.iter().chain(&rows) {
            let share = dot(&row, other);
            row.iter_mut().zip(other).for_each(|(value, other)| *value -= share * other);
        }
        let length = dot(&row, &row).sqrt();
        rows.push(row.into_iter().map(|value| value / length).collect());
    }
    rows
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

fn scaled(rows: &[Vec<f64>], factor: f64) -> Rows {
    rows.iter().map(|row| row.iter().map(|value| factor * value).collect()).collect()
}

fn turned_over(rows: &[Vec<f64>]) -> Rows {
    (0..rows[0].len()).map(|at| rows.iter().map(|row| row[at]).collect()).collect()
}
