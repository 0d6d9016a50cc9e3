//! Settings of what is trained: an adapter under PEFT's names, and how the base's weights are stored.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    defaults::is_default,
    models::{Bias, InitLoraWeights, Layers, Modules},
};

/// An adapter, under PEFT's names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Adapter {
    /// A PEFT folder whose adapter is the start.
    pub init_from: Option<PathBuf>,
    /// Rank.
    pub r: usize,
    /// The adapter's output is multiplied by this, divided by the rank.
    pub lora_alpha: f64,
    /// Share of the adapter's inputs that are dropped at random; `dpo` and `orpo` drop none, as in TRL.
    pub lora_dropout: f64,
    /// Which biases are trained.
    pub bias: Bias,
    /// Modules that have an adapter [default: as in PEFT `q_proj` and `v_proj`, and Phi's `fc1` and `fc2`].
    pub target_modules: Option<Modules>,
    /// Modules among them that have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude_modules: Option<Modules>,
    /// Whether `lora_alpha` is divided by the root of the rank instead.
    pub use_rslora: bool,
    /// Whether magnitudes are trained apart from directions.
    pub use_dora: bool,
    /// Other ranks, by patterns of the end of a module's name; of several that match, the first by its letters.
    pub rank_pattern: BTreeMap<String, usize>,
    /// Other alphas, by the end of a module's name.
    pub alpha_pattern: BTreeMap<String, f64>,
    /// Modules whose weights are trained themselves and saved with the adapter.
    pub modules_to_save: Option<Vec<String>>,
    /// The only layers that have an adapter.
    pub layers_to_transform: Option<Layers>,
    /// How the factors are initialised: `true` as in PEFT, `gaussian`, or `false` so that the start differs from the base.
    #[serde(skip_serializing_if = "is_default")]
    pub init_lora_weights: InitLoraWeights,
    /// Whether an existing adapter is trained further.
    pub trainable: bool,
}

impl Default for Adapter {
    fn default() -> Self {
        Self {
            init_from: None,
            r: 8,
            lora_alpha: 8.0,
            lora_dropout: 0.0,
            bias: Bias::None,
            target_modules: None,
            exclude_modules: None,
            use_rslora: false,
            use_dora: false,
            rank_pattern: BTreeMap::new(),
            alpha_pattern: BTreeMap::new(),
            modules_to_save: None,
            layers_to_transform: None,
            init_lora_weights: InitLoraWeights::Kaiming,
            trainable: true,
        }
    }
}

/// How the base's weights are stored in memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quantization {
    /// The code of one weight.
    #[serde(rename = "type")]
    pub code: Code,
    /// Whether the blocks' scales are quantised too.
    #[serde(default)]
    pub double_quant: bool,
    /// Number format of products.
    #[serde(default)]
    pub compute_dtype: Dtype,
    /// Number format of the adapter's weights and their optimiser state.
    #[serde(default)]
    pub adapter_dtype: Dtype,
}

/// Codes of quantised weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Code {
    /// Four bits, by the quantiles of a normal distribution.
    Nf4,
}

/// Number formats, under `PyTorch`'s names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// 32 bits.
    #[default]
    Float32,
    /// 16 bits with float32's exponent.
    Bfloat16,
}
