//! An adapter's factors among the weights: their names, and what they do to a module.

/// Names of an adapter's factors, after the module's.
pub(crate) const LORA_A: &str = ".lora_A.weight";
pub(crate) const LORA_B: &str = ".lora_B.weight";
pub(crate) const MAGNITUDE: &str = ".lora_magnitude_vector";
pub(crate) const EMBEDDING_A: &str = ".lora_embedding_A";
pub(crate) const EMBEDDING_B: &str = ".lora_embedding_B";
pub(crate) const FACTORS: [&str; 5] = [LORA_A, LORA_B, MAGNITUDE, EMBEDDING_A, EMBEDDING_B];

/// What an adapter does to one module; its factors stand among the weights, under PEFT's names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Lora {
    /// Factor of the side branch: alpha by rank, or by the rank's root (rsLoRA).
    pub(crate) scale: f64,
    /// Whether rows are brought to the length of `lora_magnitude_vector` (`DoRA`).
    pub(crate) magnitude: bool,
}
