//! Adapters. Takes a PEFT folder and a base; gives the base with the adapter, the adapter as a PEFT folder, and both merged.
//!
//! Read `config` (PEFT's settings) first, with `module_names` (which modules they mean) and `first_factors` (how factors are initialised), then
//! this file, which adds, saves and merges adapters. `places` has the names and shapes of an adapter's tensors, and `lora` the computation.

pub(crate) mod config;
pub(crate) mod first_factors;
pub(crate) mod lora;
pub(crate) mod module_names;
mod places;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use burn::tensor::Tensor;
use serde_json::Value;

use super::{
    decoder::Model,
    error::CheckpointError,
    json, read,
    weights::{
        factors::{EMBEDDING_A, EMBEDDING_B, FACTORS, LORA_A, LORA_B, Lora, MAGNITUDE},
        parameters::Parameters,
        safetensors_in::Tensors,
        safetensors_out::tensors_to_bytes,
        weight::{Dense, EMBEDDING, HEAD, Weight, weight_of},
    },
    write,
};
use crate::random::Random;
use config::AdapterConfig;
use first_factors::InitLoraWeights;
use lora::row_norms;
use places::{
    PREFIX, base_shape, base_values, factor_shapes, is_end, is_factor, our_name, peft_name, replaced_names, weight_name,
};

pub(super) const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

impl Model {
    /// Adds the adapter of a PEFT folder, and returns its settings.
    ///
    /// # Errors
    /// Settings that this program does not compute; tensors that are missing, unexpected, of another shape or type, or not finite.
    pub fn load_adapter(&mut self, folder: &Path) -> Result<AdapterConfig, CheckpointError> {
        let path = folder.join(CONFIG);
        let content = |reason: String| CheckpointError::Content { path: path.clone(), reason };
        let config = AdapterConfig::read(&read(&path)?).map_err(content)?;
        let tensors = Tensors::open(&[folder.join(WEIGHTS)])?;
        let (mut shapes, stored) = self.places(&config).map_err(content)?;
        shapes.extend(stored.iter().map(|name| (name.clone(), base_shape(self.parameters(), name))));
        let mut found = BTreeMap::new();
        let mut extra = Vec::new();
        for name in tensors.names() {
            let ours = our_name(name);
            match shapes.get(&ours) {
                Some(shape) if tensors.shape(name) == Some(shape) => {
                    found.insert(ours, tensors.values(name)?);
                }
                Some(shape) => {
                    let reason = format!(
                        "has the shape {:?}, and the base and `{CONFIG}` ask for {shape:?}",
                        tensors.shape(name).unwrap_or_default()
                    );
                    return Err(tensors.wrong(name, reason));
                }
                // PEFT repeats the base's embedding and head if they have an adapter. They may be newer than the base's.
                None if base_shape(self.parameters(), &ours).as_slice() == tensors.shape(name).unwrap_or_default()
                    && is_end(&ours) =>
                {
                    let values = tensors.values(name)?;
                    if values != base_values(self.parameters(), &ours) {
                        found.insert(ours, values);
                    }
                }
                None => extra.push(name.to_owned()),
            }
        }
        if !extra.is_empty() {
            return Err(CheckpointError::Extra { path: folder.into(), names: extra });
        }
        let missing: Vec<String> =
            shapes.keys().filter(|name| !found.contains_key(*name)).map(|name| format!("{PREFIX}{name}")).collect();
        if !missing.is_empty() {
            return Err(CheckpointError::Missing { path: folder.into(), names: missing });
        }
        self.put_on(&config, &shapes, found);
        Ok(config)
    }

    /// Adds a new adapter, whose factors are initialised as in PEFT and drawn from `seed`.
    ///
    /// # Errors
    /// A setting is out of range, or the settings name no module.
    pub fn add_adapter(&mut self, config: &AdapterConfig, seed: u64) -> Result<(), String> {
        config.check()?;
        if config.init_lora_weights == InitLoraWeights::Orthogonal {
            return Err(
                "`init_lora_weights` is `orthogonal`, and first factors are drawn as `true`, `false` and `gaussian` say".into()
            );
        }
        let (mut shapes, stored) = self.places(config)?;
        let mut random = Random::new(seed, "adapter");
        let mut values = BTreeMap::new();
        for (name, shape) in &shapes {
            let count = shape.iter().product();
            let drawn = if name.ends_with(LORA_A) {
                config.init_lora_weights.first([shape[0], shape[1]], &mut random)
            } else if name.ends_with(LORA_B) {
                config.init_lora_weights.second([shape[0], shape[1]], &mut random)
            } else if name.ends_with(EMBEDDING_B) {
                (0..count).map(|_| random.normal() as f32).collect()
            } else if let Some(module) = name.strip_suffix(MAGNITUDE) {
                let weight = self.parameters().matrix(&weight_name(self.parameters(), module));
                weight.square().sum_dim(1).sqrt().into_data().try_into_vec().expect("weights are f32")
            } else {
                vec![0.0; count]
            };
            values.insert(name.clone(), drawn);
        }
        for name in &stored {
            values.insert(name.clone(), base_values(self.parameters(), name));
            shapes.insert(name.clone(), base_shape(self.parameters(), name));
        }
        self.put_on(config, &shapes, values);
        Ok(())
    }

    /// Returns the weights of an adapter: factors with their shapes, and the base's weights that it stores whole.
    fn places(&self, config: &AdapterConfig) -> Result<(BTreeMap<String, Vec<usize>>, BTreeSet<String>), String> {
        let (factors, stored) = (factor_shapes(self.parameters(), config), replaced_names(self.parameters(), config));
        if factors.is_empty() && stored.is_empty() {
            return Err("`target_modules` and `modules_to_save` name no module of this model".into());
        }
        if config.use_dora && config.targets(EMBEDDING, false) {
            return Err("`use_dora` on an embedding is not computed".into());
        }
        Ok((factors, stored))
    }

    fn put_on(&mut self, config: &AdapterConfig, shapes: &BTreeMap<String, Vec<usize>>, values: BTreeMap<String, Vec<f32>>) {
        let mut parameters = self.parameters().without_adapter();
        for (name, values) in values {
            let shape = shapes.get(&name).cloned().unwrap_or_else(|| base_shape(&parameters, &name));
            let weight = Weight::dense(&shape, values, self.parameters().device());
            match FACTORS.iter().find_map(|factor| name.strip_suffix(factor)).map(str::to_owned) {
                Some(module) => {
                    let magnitude = config.use_dora && module != EMBEDDING;
                    parameters.adapt(module.clone(), Lora { scale: config.scale(&module), magnitude });
                    parameters.insert(name, weight);
                }
                None => parameters.replace(&name, weight),
            }
        }
        *self = self.with_parameters(parameters);
    }

    /// Returns the names of the weights that an adapter trains, in order: its factors, and the weights that it stores whole.
    #[must_use]
    pub fn adapter_names(&self) -> Vec<String> {
        let parameters = self.parameters();
        let factors = parameters.iter().map(|(name, _)| name).filter(|name| is_factor(parameters, name));
        factors.chain(parameters.replaced()).map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Returns the names of the base's biases that an adapter trains in place. Unlike weights that are stored whole, they keep their trained
    /// values when PEFT disables the adapter.
    pub(crate) fn trained_biases(&self) -> Vec<String> {
        let whole = |module: &str| self.parameters().replaced().any(|name| name == weight_of(module));
        let biases = self.parameters().replaced().filter(|name| name.strip_suffix(".bias").is_some_and(|module| !whole(module)));
        biases.map(str::to_owned).collect()
    }

    /// Returns the name of a trained weight in PEFT's model: `….lora_A.weight`, `….base_layer.bias`, `….modules_to_save.weight`. `adapter`
    /// has the settings of the model's adapter, if it has one.
    #[must_use]
    pub(crate) fn peft_parameter(&self, name: &str, adapter: Option<&AdapterConfig>) -> String {
        let parameters = self.parameters();
        if is_factor(parameters, name) {
            return if name.ends_with(MAGNITUDE) { format!("{name}.weight") } else { name.to_owned() };
        }
        let Some((module, part)) = name.rsplit_once('.') else { return name.to_owned() };
        if parameters.lora().contains_key(module) {
            return format!("{module}.base_layer.{part}");
        }
        match adapter.and_then(|adapter| adapter.saved_part(module)) {
            Some(whole) => format!("{whole}.modules_to_save{}", &name[whole.len()..]),
            None => name.to_owned(),
        }
    }

    /// Writes the adapter as a PEFT folder, in f32. As in PEFT, the base's embedding and head are written too if they have factors, since
    /// they may have more rows than the vocabulary of the published base.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save_adapter(&self, folder: &Path, config: &AdapterConfig) -> Result<(), CheckpointError> {
        let parameters = self.parameters();
        let dense = |weight: &Weight| (weight.shape(), weight.clone().into_values());
        let own = self.adapter_names();
        let mut tensors: BTreeMap<String, Dense> = own
            .iter()
            .filter_map(|name| parameters.get(name).map(|weight| (peft_name(parameters, name), dense(weight))))
            .collect();
        for module in [EMBEDDING, HEAD].into_iter().filter(|module| parameters.lora().contains_key(*module)) {
            let weight = parameters.get(&weight_name(parameters, module)).expect("every model has an embedding");
            tensors.insert(format!("{PREFIX}{module}.base_layer.weight"), dense(weight));
        }
        write(&folder.join(CONFIG), &json(&config.to_json()))?;
        write(&folder.join(WEIGHTS), &tensors_to_bytes(&tensors))
    }

    /// Returns the model with the adapter merged into its weights. Weights in 4 bits become dense.
    #[must_use]
    pub fn merged(&self) -> Self {
        let mut parameters = self.parameters().clone();
        let mut config = self.config().clone();
        let changed = |module: &str| parameters.lora().contains_key(module);
        if parameters.get(&weight_of(HEAD)).is_none() && (changed(EMBEDDING) || changed(HEAD)) {
            // The adapter changes only one of the two uses of this matrix, so that they are two matrices from now on.
            let tied = parameters.get(&weight_of(EMBEDDING)).cloned().expect("every model has an embedding");
            parameters.insert(weight_of(HEAD), tied);
        }
        if parameters.get(&weight_of(HEAD)).is_some() && self.is_tied() {
            config.insert("tie_word_embeddings".into(), Value::Bool(false));
        }
        let mut weights: BTreeMap<String, Weight> = parameters
            .iter()
            .filter(|(name, _)| !is_factor(&parameters, name))
            .map(|(name, weight)| (name.to_owned(), weight.clone().out_of_codes()))
            .collect();
        for (module, &lora) in parameters.lora() {
            weights.insert(weight_of(module), Weight::Matrix(merged_weight(&parameters, module, lora)));
        }
        config.remove("quantization_config");
        Self::new(config, weights, parameters.device().clone()).expect("merging changes no shape")
    }
}

fn merged_weight(parameters: &Parameters, module: &str, lora: Lora) -> Tensor<2> {
    let weight = parameters.matrix(&weight_of(module));
    if module == EMBEDDING {
        let first = parameters.matrix(&format!("{module}{EMBEDDING_A}"));
        let second = parameters.matrix(&format!("{module}{EMBEDDING_B}"));
        return weight + first.transpose().matmul(second.transpose()) * lora.scale;
    }
    let first = parameters.matrix(&format!("{module}{LORA_A}"));
    let second = parameters.matrix(&format!("{module}{LORA_B}"));
    let sum = weight.clone() + second.clone().matmul(first.clone()) * lora.scale;
    if !lora.magnitude {
        return sum;
    }
    let magnitude = parameters.vector(&format!("{module}{MAGNITUDE}"));
    sum * (magnitude / row_norms(weight, first, second, lora.scale)).unsqueeze_dim(1)
}
