//! An adapter's factors among the weights: their names, and how they change a module.

/// Suffixes of the factors' names, after the module's name.
pub(crate) const LORA_A: &str = ".lora_A.weight";
pub(crate) const LORA_B: &str = ".lora_B.weight";
pub(crate) const MAGNITUDE: &str = ".lora_magnitude_vector";
pub(crate) const EMBEDDING_A: &str = ".lora_embedding_A";
pub(crate) const EMBEDDING_B: &str = ".lora_embedding_B";
pub(crate) const FACTORS: [&str; 5] = [LORA_A, LORA_B, MAGNITUDE, EMBEDDING_A, EMBEDDING_B];

/// How an adapter changes one module. Its factors are among the weights, under PEFT's names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Lora {
    /// Factor of the side branch: alpha divided by the rank, or by the root of the rank (rsLoRA).
    pub(crate) scale: f64,
    /// Whether rows are scaled to the lengths in `lora_magnitude_vector` (`DoRA`).
    pub(crate) magnitude: bool,
}
