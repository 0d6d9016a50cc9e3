//! In which numbers a model's products are computed.

/// In which numbers products are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::models) enum Products {
    /// float32.
    #[default]
    Full,
    /// float32 that was rounded to bfloat16: what `PyTorch`'s autocast computes, where the processor has no such products.
    Rounded,
    /// bfloat16, with sums of float32 inside.
    Half,
}
