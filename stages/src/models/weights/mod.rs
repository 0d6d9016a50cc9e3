//! Weights. Takes safetensors files; gives tensors in the form in which a model keeps them, and back.
//!
//! Takes files or values; gives weights in float32, in 16 bits (`frozen`) or in 4 (`nf4`). Read `safetensors_in`, `weight`, `parameters`,
//! then the forms, and `safetensors_out` last.

pub(crate) mod arithmetic;
pub(crate) mod factors;
pub(crate) mod frozen;
pub(crate) mod mapped;
pub(crate) mod nf4;
pub(crate) mod nf4_tensor;
pub(crate) mod parameters;
pub(crate) mod quantised;
pub(crate) mod safetensors_in;
pub(crate) mod safetensors_out;
pub(crate) mod storage;
pub(crate) mod values;
pub(crate) mod weight;
