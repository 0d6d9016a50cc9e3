//! Optimisers: gradients → changed weights. One file an optimiser; `decay` says which weights decay.

pub(crate) mod adamw;
pub(crate) mod decay;
