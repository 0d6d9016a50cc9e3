//! How a weight is stored. Takes a weight; gives its number of bits.

use serde::{Deserialize, Serialize};

use super::{frozen::Frozen, nf4::Scales, weight::Weight};

/// How a weight is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Storage {
    /// In f32.
    #[default]
    Full,
    /// In 16 bits, in the memory of its file.
    Half,
    /// In 4 bits, with a scale in f32 for each block.
    Nf4,
    /// In 4 bits, with a scale in 8 bits for each block.
    Nf4Nested,
}

impl Storage {
    /// Returns how a weight is stored.
    pub(crate) fn of(weight: &Weight) -> Self {
        match weight {
            Weight::Frozen(Frozen::Half(_)) => Self::Half,
            Weight::Frozen(Frozen::Nf4(matrix)) if matches!(matrix.scales, Scales::Nested(_)) => Self::Nf4Nested,
            Weight::Frozen(Frozen::Nf4(_)) | Weight::Nf4Tensor(_) => Self::Nf4,
            Weight::Vector(_) | Weight::Matrix(_) => Self::Full,
        }
    }

    /// Returns whether a weight is in 4 bits.
    pub(crate) fn in_codes(self) -> bool {
        matches!(self, Self::Nf4 | Self::Nf4Nested)
    }

    /// Returns the number of bytes of `count` values. Blocks, if there are any, have 64 values.
    pub(crate) fn bytes(self, count: u64) -> u64 {
        match self {
            Self::Full => count.saturating_mul(4),
            Self::Half => count.saturating_mul(2),
            Self::Nf4 => count / 2 + count / 64 * 4,
            Self::Nf4Nested => count / 2 + count / 64,
        }
    }
}
