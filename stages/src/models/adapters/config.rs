//! `adapter_config.json`, as PEFT writes it. Takes the file; gives which modules an adapter changes, and how strongly; and back.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    first_factors::InitLoraWeights,
    module_names::{Layers, Modules, by_pattern, check_patterns},
};
use crate::models::config::known_keys::is_off;

/// Keys that change nothing in a trained adapter: bookkeeping, and settings of initialisation or of other machines.
const HARMLESS: [&str; 9] = [
    "auto_mapping",
    "inference_mode",
    "layers_pattern",
    "megatron_core",
    "peft_type",
    "peft_version",
    "qalora_group_size",
    "revision",
    "task_type",
];

/// Settings of a `LoRA` adapter under PEFT's names, with the defaults of PEFT's `LoraConfig`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdapterConfig {
    /// The base's name or path, a note that is not read.
    pub base_model_name_or_path: Option<String>,
    /// Rank.
    pub r: usize,
    /// Alpha: the side branch is multiplied by it and divided by the rank.
    pub lora_alpha: f64,
    /// Share of the side branch's inputs that are dropped in training.
    pub lora_dropout: f64,
    /// Modules that get an adapter: names or their ends, a regular expression of whole names, or `all-linear`.
    pub target_modules: Option<Modules>,
    /// Modules among these that get none.
    pub exclude_modules: Option<Modules>,
    /// The only layers that get an adapter [default: all].
    pub layers_to_transform: Option<Layers>,
    /// Modules that are trained whole and stored in the adapter.
    pub modules_to_save: Option<Vec<String>>,
    /// Ranks of some modules, by regular expressions of the ends of their names.
    pub rank_pattern: BTreeMap<String, usize>,
    /// Alphas of some modules, by regular expressions of the ends of their names.
    pub alpha_pattern: BTreeMap<String, f64>,
    /// Whether alpha is divided by the root of the rank (rank-stabilised `LoRA`).
    pub use_rslora: bool,
    /// Whether the rows of changed matrices are scaled to trained magnitudes (`DoRA`).
    pub use_dora: bool,
    /// Which biases are trained.
    pub bias: Bias,
    /// How the factors were initialised.
    pub init_lora_weights: InitLoraWeights,
}

impl Default for AdapterConfig {
    fn default() -> Self {
        Self {
            base_model_name_or_path: None,
            r: 8,
            lora_alpha: 8.0,
            lora_dropout: 0.0,
            target_modules: None,
            exclude_modules: None,
            layers_to_transform: None,
            modules_to_save: None,
            rank_pattern: BTreeMap::new(),
            alpha_pattern: BTreeMap::new(),
            use_rslora: false,
            use_dora: false,
            bias: Bias::None,
            init_lora_weights: InitLoraWeights::Kaiming,
        }
    }
}

/// Which biases an adapter trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bias {
    /// None.
    None,
    /// All of the model.
    All,
    /// Those of changed modules.
    LoraOnly,
}

impl AdapterConfig {
    /// Reads PEFT's file.
    ///
    /// # Errors
    /// A sentence that names what is malformed, or what this program does not compute.
    pub(crate) fn read(text: &[u8]) -> Result<Self, String> {
        let mut keys: Map<String, Value> = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        match keys.get("peft_type").and_then(Value::as_str) {
            Some("LORA") => {}
            other => return Err(format!("`peft_type` is `{}`, and only `LORA` is read", other.unwrap_or("missing"))),
        }
        let usual = |value: &Value| value.as_str() == Some("layers") || *value == serde_json::json!(["layers"]);
        if let Some(pattern) = keys.get("layers_pattern").filter(|value| !is_off(value) && !usual(value)) {
            return Err(format!("`layers_pattern` is {pattern}, and layers are found by their number alone"));
        }
        for name in HARMLESS {
            keys.remove(name);
        }
        let known = serde_json::to_value(Self::default()).expect("plain data");
        let unknown: Vec<String> = keys.keys().filter(|name| known.get(name.as_str()).is_none()).cloned().collect();
        for name in unknown {
            let value = keys.remove(&name).unwrap_or_default();
            if !is_off(&value) {
                return Err(format!("`{name}` is {value}, which this program does not compute"));
            }
        }
        // A null stands for the default.
        keys.retain(|_, value| !value.is_null());
        let config: Self = serde_json::from_value(Value::Object(keys)).map_err(|error| error.to_string())?;
        config.check()?;
        Ok(config)
    }

    /// Checks numbers and patterns.
    ///
    /// # Errors
    /// A number is out of range, or a pattern is malformed.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.r == 0 || self.rank_pattern.values().any(|rank| *rank == 0) {
            return Err("`r` and the ranks of `rank_pattern` must be at least 1".into());
        }
        if !self.lora_alpha.is_finite() || self.alpha_pattern.values().any(|alpha| !alpha.is_finite()) {
            return Err("`lora_alpha` must be a number".into());
        }
        if !(0.0..1.0).contains(&self.lora_dropout) {
            return Err("`lora_dropout` must be from 0 to below 1".into());
        }
        let named = |name: &'static str, result: Result<(), String>| result.map_err(|error| format!("`{name}`: {error}"));
        named("rank_pattern", check_patterns(&self.rank_pattern))?;
        named("alpha_pattern", check_patterns(&self.alpha_pattern))?;
        for (name, modules) in [("target_modules", &self.target_modules), ("exclude_modules", &self.exclude_modules)] {
            named(name, modules.as_ref().map_or(Ok(()), Modules::check))?;
        }
        Ok(())
    }

    /// Returns whether the adapter changes a module. `linear` says that the module is a linear layer other than the head.
    pub(crate) fn targets(&self, module: &str, linear: bool) -> bool {
        let Some(targets) = &self.target_modules else { return false };
        if self.exclude_modules.as_ref().is_some_and(|excluded| excluded.has(module)) || self.is_in_saved(module) {
            return false;
        }
        match targets {
            Modules::Pattern(pattern) if pattern.eq_ignore_ascii_case("all-linear") => linear && self.transforms(module),
            Modules::Pattern(_) => targets.has(module),
            Modules::Names(_) => targets.has(module) && self.transforms(module),
        }
    }

    /// Returns whether a module is trained whole.
    pub(crate) fn saves(&self, module: &str) -> bool {
        self.saved_part(module).is_some()
    }

    /// Returns the beginning of a module's name that names a module which is trained whole, itself or one that contains it. Its end is one
    /// of `modules_to_save`. As in PEFT, this may be the end of a word, so that `norm` means `q_norm` too.
    pub(crate) fn saved_part<'a>(&self, module: &'a str) -> Option<&'a str> {
        let names = self.modules_to_save.as_deref().unwrap_or_default();
        let mut ends = module.match_indices('.').map(|(end, _)| end).chain([module.len()]);
        ends.find_map(|end| module.get(..end).filter(|part| names.iter().any(|name| part.ends_with(name))))
    }

    /// Returns whether a module is in `modules_to_save`, or in a module that is. PEFT adds no factors there.
    fn is_in_saved(&self, module: &str) -> bool {
        let names = self.modules_to_save.as_deref().unwrap_or_default();
        names.iter().any(|name| format!(".{module}.").contains(&format!(".{name}.")))
    }

    fn transforms(&self, module: &str) -> bool {
        let Some(Layers(layers)) = self.layers_to_transform.as_ref().filter(|layers| !layers.0.is_empty()) else { return true };
        module.split('.').find_map(|part| part.parse::<usize>().ok()).is_some_and(|layer| layers.contains(&layer))
    }

    /// Returns a module's rank.
    pub(crate) fn rank(&self, module: &str) -> usize {
        by_pattern(&self.rank_pattern, module).unwrap_or(self.r)
    }

    /// Returns the factor that a module's side branch is multiplied by.
    pub(crate) fn scale(&self, module: &str) -> f64 {
        let alpha = by_pattern(&self.alpha_pattern, module).unwrap_or(self.lora_alpha);
        let rank = self.rank(module) as f64;
        alpha / if self.use_rslora { rank.sqrt() } else { rank }
    }

    /// Returns the content of the file, with the keys that all versions of PEFT read.
    pub(crate) fn to_json(&self) -> Map<String, Value> {
        let Ok(Value::Object(mut keys)) = serde_json::to_value(self) else { unreachable!("a struct is written as an object") };
        for (name, value) in [
            ("fan_in_fan_out", Value::Bool(false)),
            ("inference_mode", Value::Bool(true)),
            ("peft_type", "LORA".into()),
            ("task_type", "CAUSAL_LM".into()),
        ] {
            keys.insert(name.into(), value);
        }
        keys
    }
}
