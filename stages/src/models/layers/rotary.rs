//! Rotary positions (Su et al. 2021) and their scalings. Takes positions; gives the angles by which queries and keys are rotated.
//!
//! Frequencies and angles are rounded to f32 where transformers rounds them: at position 9000 the difference would show in the logits.

use std::collections::BTreeSet;

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::models::{device::is_processor, fused};

/// How positions rotate a head, by `rope_parameters`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rope {
    /// Base of the wavelengths.
    pub(crate) theta: f64,
    /// Share of a head that is rotated.
    pub(crate) partial_rotary_factor: f64,
    /// The scaling for rows longer than those of the pretraining.
    pub(crate) scaling: Scaling,
    /// Largest number of a row's tokens, on which some scalings depend.
    pub(crate) max_position_embeddings: usize,
}

/// The scalings of transformers' `ROPE_INIT_FUNCTIONS`, without `proportional`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scaling {
    /// No scaling.
    Default,
    /// All wavelengths are multiplied by `factor`.
    Linear { factor: f64 },
    /// A larger base in rows that are longer than `max_position_embeddings` (dynamic NTK).
    Dynamic { factor: f64 },
    /// Long wavelengths are multiplied by `factor`, short ones are unchanged, with a ramp between (`YaRN`, Peng et al. 2023).
    Yarn {
        /// Factor of the interpolated wavelengths [default: the ratio of the new and the old length].
        factor: Option<f64>,
        /// Factor of sine and cosine [default: computed from `factor`, `mscale` and `mscale_all_dim`].
        attention_factor: Option<f64>,
        /// Number of rotations above which a wavelength is unchanged.
        beta_fast: f64,
        /// Number of rotations below which a wavelength is fully interpolated.
        beta_slow: f64,
        /// Weight of the logarithm in the numerator of the attention factor.
        mscale: Option<f64>,
        /// Weight of the logarithm in its denominator.
        mscale_all_dim: Option<f64>,
        /// Whether the ramp's ends are rounded to whole dimensions.
        truncate: bool,
        /// Largest number of a row's tokens in the pretraining.
        original_max_position_embeddings: usize,
    },
    /// Each wavelength has a factor, and another in rows longer than those of the pretraining (`LongRoPE`, Ding et al. 2024).
    Longrope {
        /// Factors of the wavelengths in rows that are not longer.
        short_factor: Vec<f64>,
        /// Factors of the wavelengths in longer rows.
        long_factor: Vec<f64>,
        /// Factor of sine and cosine.
        attention_factor: f64,
        /// Largest number of a row's tokens in the pretraining.
        original_max_position_embeddings: usize,
    },
    /// Llama 3.1's scaling: long wavelengths are multiplied by `factor`, short ones are unchanged, with a blend between.
    Llama3 {
        /// Factor of the long wavelengths.
        factor: f64,
        /// The original length divided by this is the shortest long wavelength.
        low_freq_factor: f64,
        /// The original length divided by this is the longest short wavelength.
        high_freq_factor: f64,
        /// Largest number of a row's tokens in the pretraining.
        original_max_position_embeddings: usize,
    },
}

impl Rope {
    /// Returns the number of elements of a head that are rotated. The others are unchanged.
    pub(crate) fn turned(&self, head_dim: usize) -> usize {
        (head_dim as f64 * self.partial_rotary_factor) as usize
    }

    /// Checks that these positions can rotate heads of this size.
    ///
    /// # Errors
    /// The rotated part has no whole pairs, or another number of pairs than there are factors.
    pub(crate) fn fits(&self, head_dim: usize) -> Result<(), String> {
        let turned = self.turned(head_dim);
        if turned == 0 || !turned.is_multiple_of(2) {
            return Err(format!("`head_dim` ({head_dim}): {turned} elements of a head are turned, which must be an even number"));
        }
        let Scaling::Longrope { short_factor, long_factor, .. } = &self.scaling else { return Ok(()) };
        for (name, factors) in [("short_factor", short_factor), ("long_factor", long_factor)] {
            if factors.len() != turned / 2 {
                return Err(format!("`{name}` has {} factors for {} turned pairs of a head", factors.len(), turned / 2));
            }
        }
        Ok(())
    }

    /// Returns the angle between neighbouring positions for each pair of elements, in radians, and the factor of sine and cosine. `length` is the
    /// longest row's number of tokens.
    fn frequencies(&self, head_dim: usize, length: usize) -> (Vec<f32>, f64) {
        let dim = self.turned(head_dim);
        let wavelengths =
            |theta: f64| (0..dim).step_by(2).map(move |index| theta.powf(f64::from(index as f32 / dim as f32)) as f32);
        let plain = |theta: f64| -> Vec<f32> { wavelengths(theta).map(|wavelength| 1.0 / wavelength).collect() };
        match self.scaling {
            Scaling::Default => (plain(self.theta), 1.0),
            Scaling::Linear { factor } => (plain(self.theta).into_iter().map(|step| step / factor as f32).collect(), 1.0),
            Scaling::Dynamic { .. } if length <= self.max_position_embeddings => (plain(self.theta), 1.0),
            Scaling::Dynamic { factor } => {
                let stretch = factor as f32 * length as f32 / self.max_position_embeddings as f32 - (factor - 1.0) as f32;
                let power = dim as f64 / (dim as f64 - 2.0);
                let grown = self.theta as f32 * f64::from(stretch).powf(power) as f32;
                (plain(f64::from(grown)), 1.0)
            }
            Scaling::Yarn { original_max_position_embeddings: original, .. } => self.yarn(dim, original as f64),
            Scaling::Longrope { ref short_factor, ref long_factor, attention_factor, original_max_position_embeddings } => {
                let factors = if length > original_max_position_embeddings { long_factor } else { short_factor };
                let stretched =
                    wavelengths(self.theta).zip(factors).map(|(wavelength, &factor)| 1.0 / (factor as f32 * wavelength));
                (stretched.collect(), attention_factor)
            }
            Scaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings: original } => {
                let (original, factor) = (original as f64, factor as f32);
                let scaled = |step: f32| {
                    let wavelength = std::f32::consts::TAU / step;
                    if f64::from(wavelength) < original / high_freq_factor {
                        step
                    } else if f64::from(wavelength) > original / low_freq_factor {
                        step / factor
                    } else {
                        let above = original as f32 / wavelength - low_freq_factor as f32;
                        let smooth = above / (high_freq_factor - low_freq_factor) as f32;
                        (1.0 - smooth) * step / factor + smooth * step
                    }
                };
                (plain(self.theta).into_iter().map(scaled).collect(), 1.0)
            }
        }
    }

    fn yarn(&self, dim: usize, original: f64) -> (Vec<f32>, f64) {
        let Scaling::Yarn { factor, attention_factor, beta_fast, beta_slow, mscale, mscale_all_dim, truncate, .. } = self.scaling
        else {
            unreachable!("called for yarn alone")
        };
        let factor = factor.unwrap_or(self.max_position_embeddings as f64 / original);
        let get_mscale = |weight: f64| if factor <= 1.0 { 1.0 } else { 0.1 * weight * factor.ln() + 1.0 };
        let inferred = match (mscale, mscale_all_dim) {
            (Some(above), Some(below)) if above != 0.0 && below != 0.0 => get_mscale(above) / get_mscale(below),
            _ => get_mscale(1.0),
        };
        let dimension =
            |rotations: f64| dim as f64 * (original / (rotations * std::f64::consts::TAU)).ln() / (2.0 * self.theta.ln());
        let (mut low, mut high) = (dimension(beta_fast), dimension(beta_slow));
        if truncate {
            (low, high) = (low.floor(), high.ceil());
        }
        let (low, high) = (low.max(0.0), high.min(dim as f64 - 1.0));
        let width = if low == high { 0.001 } else { high - low };
        let frequencies = (0..dim).step_by(2).enumerate().map(|(pair, index)| {
            let wavelength = self.theta.powf(f64::from(index as f32 / dim as f32)) as f32;
            let stays = 1.0 - ((pair as f32 - low as f32) / width as f32).clamp(0.0, 1.0);
            1.0 / (factor as f32 * wavelength) * (1.0 - stays) + 1.0 / wavelength * stays
        });
        (frequencies.collect(), attention_factor.unwrap_or(inferred))
    }

    /// Computes the angles of `rows * width` positions. `length` is the longest row's number of tokens.
    pub(crate) fn rotation(&self, head_dim: usize, positions: &[usize], rows: usize, length: usize, device: &Device) -> Rotation {
        let (frequencies, factor) = self.frequencies(head_dim, length);
        let (width, pairs) = (positions.len() / rows.max(1), frequencies.len());
        let angle = |function: fn(f64) -> f64, position: usize, frequency: f32| {
            (function(f64::from(position as f32 * frequency)) * factor) as f32
        };
        let angles = |function: fn(f64) -> f64, positions: &[usize]| {
            let lines = positions.iter().flat_map(|&position| frequencies.iter().map(move |&step| (position, step)));
            let values: Vec<f32> = lines.map(|(position, step)| angle(function, position, step)).collect();
            Tensor::<2>::from_data(TensorData::new(values, [positions.len(), pairs]), device)
        };
        // Rows have the same positions, so each is copied to another device once.
        let distinct: Option<Vec<usize>> =
            (!is_processor(device)).then(|| positions.iter().copied().collect::<BTreeSet<_>>().into_iter().collect());
        let table = |function: fn(f64) -> f64| {
            let table = match &distinct {
                None => angles(function, positions),
                Some(distinct) => {
                    let index = |position| distinct.binary_search(position).expect("it is among them") as i32;
                    let indices: Vec<i32> = positions.iter().map(index).collect();
                    let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [positions.len()]), device);
                    angles(function, distinct).select(0, indices)
                }
            };
            table.reshape([rows, width, 1, pairs])
        };
        Rotation { cosine: table(f64::cos), sine: table(f64::sin) }
    }
}

/// Sines and cosines of the angles of one batch's positions, the same in every layer of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Rotation {
    /// `[rows, width, 1, turned / 2]`.
    cosine: Tensor<4>,
    /// `[rows, width, 1, turned / 2]`.
    sine: Tensor<4>,
}

impl Rotation {
    /// Rotates the pairs (i, i + turned / 2) of each head, `[rows, width, heads, head_dim]`, as transformers does. Further elements are
    /// unchanged.
    pub(crate) fn turn(&self, heads: Tensor<4>) -> Tensor<4> {
        fused::rotate(heads, &self.cosine, &self.sine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longrope_takes_the_long_factors_in_rows_longer_than_the_first_trainings() {
        let scaling = Scaling::Longrope {
            short_factor: vec![1.0, 2.0],
            long_factor: vec![4.0, 8.0],
            attention_factor: 1.5,
            original_max_position_embeddings: 32,
        };
        let rope = Rope { theta: 100.0, partial_rotary_factor: 1.0, scaling, max_position_embeddings: 256 };
        // Wavelengths are 1 and 100^(2/4) before they are scaled.
        assert_eq!(rope.frequencies(4, 32), (vec![1.0, 0.05], 1.5));
        assert_eq!(rope.frequencies(4, 33), (vec![0.25, 0.0125], 1.5));
    }
}
