//! `debug nf4`. Takes a matrix; gives its codes and scales in NF4, and the dequantised values.

use std::collections::BTreeMap;

use clap::Args;
use engine::{CommandError, StageError};

use super::arguments::Files;
use crate::{
    commands::files::write,
    models::{NestedScales, Nf4Matrix, Scales, read_matrix, tensors_of_bytes_and_values},
};

/// Quantise a matrix to NF4
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Nf4 {
    #[command(flatten)]
    files: Files,
    /// Values that share a scale
    #[arg(long, value_name = "N")]
    block_size: usize,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost debug nf4 --block-size 64 --input matrix.safetensors --out nf4.safetensors

Input (safetensors): the tensor `input`, a matrix.
Output (safetensors): `packed` and `absmax` (codes and scales), `nested_absmax_codes`, `nested_absmax` and `nested_offset` (the scales
quantised), and the values that they stand for. The names are those of bitsandbytes.
`fingerpost kinds sft` describes `load_in_4bit`.";

impl Nf4 {
    pub(super) fn run(&self) -> Result<(), CommandError> {
        if self.block_size == 0 {
            return Err(CommandError::usage("`--block-size` must be at least 1"));
        }
        let (shape, values) = read_matrix(&self.files.input, "input").map_err(StageError::failed)?;
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
        write(&self.files.out, &tensors_of_bytes_and_values(&bytes, &tensors))
    }
}
