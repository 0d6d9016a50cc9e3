//! Weights. Takes safetensors files; gives weights in float32, 16 or 4 bits, and back.
//!
//! Read `weight` (one weight, with its `storage`) and `parameters` (those of a model) first, then the forms: `frozen` (in 16 or 4 bits,
//! `mapped` from files), `nf4` and `nf4_tensor` (4 bits on the processor and on a device), `values` (what is trained) and `factors` (an
//! adapter's). `safetensors_in` reads files, `quantised` their weights, and `safetensors_out` writes. `arithmetic` has the number formats
//! of products.

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
