//! `debug nf4`: a matrix → its codes and scales in NF4, and the values that they stand for.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use engine::{CommandError, StageError};

use crate::{
    commands::files::write,
    models::{NestedScales, Nf4Matrix, Scales, read_matrix, tensors_of_bytes_and_values},
};

/// Quantise a matrix to NF4
#[derive(Args)]
pub(super) struct Nf4 {
    /// safetensors file with the tensor `input`
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Values that share a scale
    #[arg(long, value_name = "N")]
    block_size: usize,
    /// Where codes, scales and values are written (safetensors)
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Nf4 {
    pub(super) fn run(&self) -> Result<(), CommandError> {
        if self.block_size == 0 {
            return Err(CommandError::usage("`--block-size` must be at least 1"));
        }
        let (shape, values) = read_matrix(&self.input, "input").map_err(StageError::failed)?;
        let plain = Nf4Matrix::quantise(&values, shape, self.block_size);
        let Scales::Plain(absmax) = plain.scales.clone() else { unreachable!("scales are quantised by themselves") };
        let nested = NestedScales::quantise(&absmax);
        let double = Nf4Matrix { scales: Scales::Nested(nested.clone()), ..plain.clone() };
        let vector = |values: Vec<f32>| (vec![values.len()], values);
        let tensors = BTreeMap::from([
            ("absmax", vector(absmax)),
            ("dequantised", (shape.to_vec(), plain.dequantise())),
            ("nested_absmax", vector(nested.absmax.clone())),
            ("nested_offset", vector(vec![nested.offset])),
            ("absmax_from_nested", vector(nested.dequantise())),
            ("dequantised_nested", (shape.to_vec(), double.dequantise())),
        ]);
        let bytes = BTreeMap::from([("packed", plain.packed.as_slice()), ("nested_absmax_codes", nested.codes.as_slice())]);
        write(&self.out, &tensors_of_bytes_and_values(&bytes, &tensors))
    }
}
