//! The number format of a model's products.

/// The number format in which products are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::models) enum Products {
    /// float32.
    #[default]
    Full,
    /// float32 that is rounded to bfloat16, which gives the numbers of `PyTorch`'s autocast on a processor without products of bfloat16.
    Rounded,
    /// bfloat16, with sums in float32.
    Half,
}
