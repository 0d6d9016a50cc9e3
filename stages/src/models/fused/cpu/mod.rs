//! What the operations share on the processor. Takes f32 in its memory; gives sums, products, and operations with a backward pass.
//!
//! Read `operation` (an operation in burn's graph) first, then `lanes` (loops over vectors) and `product` (products of matrices).

pub(crate) mod lanes;
pub(crate) mod operation;
pub(crate) mod product;
