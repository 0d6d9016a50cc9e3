//! What the operations have in common on the processor: loops over vectors, products of matrices, and operations with a backward pass.

pub(crate) mod lanes;
pub(crate) mod operation;
pub(crate) mod product;
