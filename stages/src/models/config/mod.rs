//! Configurations. Takes `config.json`; gives the keys that one architecture reads, in one spelling.
//!
//! Published checkpoints have the spelling of transformers 4 (`rope_theta`, `rope_scaling`, `torch_dtype`), newer ones that of transformers 5
//! (`rope_parameters`, `dtype`). Keys that change no logit are dropped by name. Any other key that the architecture does not read is an
//! error unless it is off, and so are keys that contradict each other, since no setting must be ignored silently. Read this file first, then
//! `known_keys` (which keys a type reads). `shapes` has a configuration's weights, `outline` what a checkpoint's files say without their weights.

pub(crate) mod known_keys;
pub(crate) mod outline;
pub(crate) mod shapes;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::layers::{
    activation::Activation,
    rope_parameters::{Beside, RopeParameters},
    rotary::Rope,
};
use known_keys::{is_off, known_keys};

/// The file of the configuration.
pub(crate) const CONFIG: &str = "config.json";

/// Keys that change no logit: bookkeeping, token ids, dropouts (which are off outside training), initialisation, generation.
const HARMLESS: [&str; 69] = [
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_commit_hash",
    "_name_or_path",
    "_sliding_window_pattern",
    "add_cross_attention",
    "architectures",
    "attention_dropout",
    "auto_map",
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "cache_implementation",
    "chunk_size_feed_forward",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "early_stopping",
    "embd_pdrop",
    "encoder_no_repeat_ngram_size",
    "eos_token_id",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "id2label",
    "initializer_range",
    "is_decoder",
    "is_encoder_decoder",
    "is_llama_config",
    "label2id",
    "length_penalty",
    "max_length",
    "min_length",
    "model_type",
    "neftune_noise_alpha",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "pad_token_id",
    "prefix",
    "pretraining_tp",
    "problem_type",
    "pruned_heads",
    "quantization_config",
    "remove_invalid_values",
    "repetition_penalty",
    "resid_pdrop",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torchscript",
    "transformers.js_config",
    "transformers_version",
    "typical_p",
    "use_cache",
];

/// Keys of a `config.json` that are still to be read.
#[derive(Clone, Debug)]
pub(super) struct Keys(Map<String, Value>);

impl Keys {
    /// Drops the harmless keys, and checks the type of the weights, which the weights' files say themselves.
    pub(super) fn new(config: &Map<String, Value>) -> Result<Self, String> {
        let mut keys = Self(config.clone());
        for name in HARMLESS.iter().chain(&["use_bfloat16", "unsloth_version", "unsloth_fixed"]) {
            keys.0.remove(*name);
        }
        let dtype = keys.one_of("dtype", "torch_dtype")?;
        let known = ["float32", "bfloat16", "float16"];
        match dtype {
            None => Ok(keys),
            Some(Value::String(name)) if known.contains(&name.trim_start_matches("torch.")) => Ok(keys),
            Some(other) => Err(format!("`dtype` is {other}, and weights are read in {}", known.join(", "))),
        }
    }

    /// Takes a key out. `null` counts as missing.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// Takes a key out that has two names.
    pub(super) fn one_of(&mut self, name: &'static str, other: &'static str) -> Result<Option<Value>, String> {
        match (self.take(name), self.take(other)) {
            (Some(value), Some(second)) if value != second => {
                Err(format!("`{name}` ({value}) and `{other}` ({second}) contradict each other"))
            }
            (value, second) => Ok(value.or(second)),
        }
    }

    /// Takes a number out.
    fn number(&mut self, name: &str) -> Result<Option<f64>, String> {
        self.take(name).map(|value| value.as_f64().ok_or_else(|| format!("`{name}` is {value}, not a number"))).transpose()
    }

    /// Takes a whole number out, which is at least 1.
    pub(super) fn count(&mut self, name: &str) -> Result<Option<usize>, String> {
        let count = |value: Value| {
            let number = value.as_u64().filter(|number| *number > 0);
            number.map(|number| number as usize).ok_or_else(|| format!("`{name}` is {value}, not a whole number above 0"))
        };
        self.take(name).map(count).transpose()
    }

    /// Takes Gemma's activation out. The key `other` is a second name that transformers does not read, and must not contradict the first.
    ///
    /// With `legacy`, `gelu` means the form with `tanh`, as in Gemma 1's files.
    pub(super) fn activation(&mut self, name: &str, other: &str, legacy: bool) -> Result<Activation, String> {
        let mut read = |name: &str, legacy: bool| match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) if legacy && text == "gelu" => Ok(Some(Activation::GeluTanh)),
            Some(value) => serde_json::from_value(value).map(Some).map_err(|error| format!("`{name}`: {error}")),
        };
        let activation = read(name, legacy)?.unwrap_or(Activation::GeluTanh);
        match read(other, activation == Activation::GeluTanh)? {
            Some(second) if second != activation => Err(format!("`{name}` and `{other}` contradict each other")),
            _ => Ok(activation),
        }
    }

    /// Takes a switch out, and returns an error if it is on.
    pub(super) fn must_be_off(&mut self, name: &str) -> Result<(), String> {
        match self.take(name) {
            None | Some(Value::Bool(false)) => Ok(()),
            Some(other) => Err(format!("`{name}` is {other}, which this program does not compute")),
        }
    }

    /// Reads the remaining keys.
    ///
    /// # Errors
    /// A value is of the wrong kind, or the architecture does not know a key that is on.
    pub(super) fn parse<T: DeserializeOwned>(mut self) -> Result<T, String> {
        let known = known_keys::<T>();
        self.0.retain(|name, value| known.contains(&name.as_str()) || !is_off(value));
        serde_json::from_value(Value::Object(self.0)).map_err(|error| error.to_string())
    }

    /// Reads the rotary positions in either spelling. `partial` is the architecture's default share of a head that is rotated, if it can be set.
    pub(super) fn rope(&mut self, max_positions: usize, partial: Option<f64>) -> Result<Rope, String> {
        let given = self.one_of("rope_parameters", "rope_scaling")?;
        let beside = Beside {
            rope_theta: self.number("rope_theta")?,
            default_theta: 10_000.0,
            partial_rotary_factor: self.number("partial_rotary_factor")?,
            default_partial: partial,
            original_max_position_embeddings: self.number("original_max_position_embeddings")?.map(|length| length as usize),
            max_position_embeddings: self.longest(max_positions)?,
        };
        RopeParameters::read(given, "rope_parameters")?.settle(&beside)
    }

    /// Reads Gemma 3's two kinds of rotary positions: those of layers with full attention, and those of layers with a window.
    pub(super) fn ropes_by_layer(&mut self, max_positions: usize, thetas: [f64; 2]) -> Result<[Rope; 2], String> {
        let given = [self.number("rope_theta")?, self.number("rope_local_base_freq")?];
        let scaling = self.take("rope_scaling");
        let max_position_embeddings = self.longest(max_positions)?;
        let mut nested = match self.take("rope_parameters") {
            None => Map::new(),
            Some(Value::Object(nested)) => nested,
            Some(other) => return Err(format!("`rope_parameters` is {other}, not a table")),
        };
        let mut part = |name: &str| nested.remove(name).filter(|value| !value.is_null());
        let (full, sliding) = (part("full_attention"), part("sliding_attention"));
        if let Some(name) = nested.keys().next() {
            return Err(format!("`rope_parameters.{name}`: here it holds `full_attention` and `sliding_attention` only"));
        }
        if let (Some(full), Some(scaling)) = (&full, &scaling)
            && full != scaling
        {
            return Err("`rope_parameters.full_attention` and `rope_scaling` contradict each other".into());
        }
        let beside = |index: usize| Beside {
            rope_theta: given[index],
            default_theta: thetas[index],
            partial_rotary_factor: None,
            default_partial: None,
            original_max_position_embeddings: None,
            max_position_embeddings,
        };
        Ok([
            RopeParameters::read(full.or(scaling), "rope_parameters.full_attention")?.settle(&beside(0))?,
            RopeParameters::read(sliding, "rope_parameters.sliding_attention")?.settle(&beside(1))?,
        ])
    }

    fn longest(&self, max_positions: usize) -> Result<usize, String> {
        match self.0.get("max_position_embeddings") {
            None => Ok(max_positions),
            Some(value) => value
                .as_u64()
                .filter(|value| *value > 0)
                .map(|value| value as usize)
                .ok_or_else(|| format!("`max_position_embeddings` is {value}, not a whole number above 0")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::models::layers::rotary::Scaling;

    fn rope(config: Value) -> Result<Rope, String> {
        let Value::Object(config) = config else { unreachable!("written as an object") };
        Keys::new(&config)?.rope(2048, None)
    }

    #[test]
    fn both_spellings_say_the_same() {
        for (old, new) in [
            (
                json!({"rope_theta": 500.0, "rope_scaling": null}),
                json!({"rope_parameters": {"rope_theta": 500.0, "rope_type": "default"}}),
            ),
            (
                json!({"rope_theta": 500.0, "rope_scaling": {"type": "linear", "factor": 4.0}}),
                json!({"rope_parameters": {"rope_theta": 500, "rope_type": "linear", "factor": 4}}),
            ),
            (
                json!({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}, "original_max_position_embeddings": 64}),
                json!({"rope_parameters": {"rope_theta": 10000.0, "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}}),
            ),
        ] {
            assert_eq!(rope(old).unwrap(), rope(new).unwrap());
        }
        let longest = rope(json!({"max_position_embeddings": 99, "rope_scaling": {"type": "yarn", "factor": 2.0}})).unwrap();
        assert!(matches!(longest.scaling, Scaling::Yarn { original_max_position_embeddings: 99, .. }));
    }

    #[test]
    fn what_is_missing_or_means_nothing_is_named() {
        let refused = |config: Value, part: &str| {
            let error = rope(config).unwrap_err();
            assert!(error.contains(part), "`{error}` does not say `{part}`");
        };
        refused(json!({"rope_scaling": {"type": "dynamic"}}), "`rope_type` `dynamic` needs `factor`");
        refused(json!({"rope_scaling": {"type": "linear", "factor": 0.0}}), "`factor` must be above 0");
        refused(json!({"rope_theta": -1.0}), "`rope_theta` must be above 0");
        refused(
            json!({"rope_scaling": {"type": "linear", "factor": 2.0, "low_freq_factor": 1.0}}),
            "`low_freq_factor` means nothing",
        );
        refused(json!({"rope_scaling": {"type": "linear", "factor": 2.0, "speed": 1.0}}), "speed");
        refused(json!({"max_position_embeddings": 0}), "`max_position_embeddings` is 0");
        refused(json!({"torch_dtype": "int8"}), "int8");
    }

    #[test]
    fn gemma_3_has_two_kinds_of_positions_in_either_spelling() {
        let ropes = |config: Value| {
            let Value::Object(config) = config else { unreachable!("written as an object") };
            Keys::new(&config).unwrap().ropes_by_layer(1024, [1e6, 1e4])
        };
        let old =
            json!({"rope_theta": 5e5, "rope_local_base_freq": 300.0, "rope_scaling": {"rope_type": "linear", "factor": 8.0}});
        let new = json!({"rope_parameters": {
            "full_attention": {"rope_theta": 5e5, "rope_type": "linear", "factor": 8.0},
            "sliding_attention": {"rope_theta": 300.0, "rope_type": "default"},
        }});
        assert_eq!(ropes(old).unwrap(), ropes(new).unwrap());
        let [full, sliding] = ropes(json!({})).unwrap();
        assert_eq!((full.theta, sliding.theta), (1e6, 1e4));
        assert!(ropes(json!({"rope_parameters": {"rope_theta": 1.0}})).unwrap_err().contains("rope_theta"));
    }

    #[test]
    fn gemmas_activation_has_two_names_that_must_agree() {
        let activation = |config: Value, legacy: bool| {
            let Value::Object(config) = config else { unreachable!("written as an object") };
            let (name, other) = if legacy { ("hidden_act", "hidden_activation") } else { ("hidden_activation", "hidden_act") };
            Keys::new(&config).unwrap().activation(name, other, legacy)
        };
        assert_eq!(activation(json!({"hidden_act": "gelu", "hidden_activation": null}), true), Ok(Activation::GeluTanh));
        assert_eq!(activation(json!({"hidden_activation": "gelu"}), false), Ok(Activation::Gelu));
        assert_eq!(activation(json!({}), false), Ok(Activation::GeluTanh));
        assert_eq!(
            activation(json!({"hidden_activation": "gelu_pytorch_tanh", "hidden_act": "gelu"}), false),
            Ok(Activation::GeluTanh)
        );
        assert!(activation(json!({"hidden_activation": "silu", "hidden_act": "gelu_new"}), false).is_err());
    }
}
