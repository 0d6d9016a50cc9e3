//! What a training starts from: settings in; a model out, its base in 4 bits and with an adapter where the settings say so.

use std::path::Path;

use serde_json::{Map, Value};

use super::TrainError;
use super::settings::{Adapter, Training};
use crate::models::{AdapterConfig, Model, Modules};

/// Opens the model that a training changes, and tells the settings of its adapter.
///
/// # Errors
/// A folder that holds no model or no adapter, and settings that do not fit it.
pub fn open(base: &Path, settings: &Training) -> Result<(Model, Option<AdapterConfig>), TrainError> {
    let (model, mut adapter) = prepare(Model::load(base)?, settings)?;
    if let Some(config) = &mut adapter {
        config.base_model_name_or_path.get_or_insert_with(|| base.display().to_string());
    }
    Ok((model, adapter))
}

/// Holds a model's weights as the settings say.
pub(crate) fn held(mut model: Model, settings: &Training) -> Model {
    if let Some(quantization) = &settings.quantization {
        model.quantise(quantization.double_quant);
    }
    model
}

/// Holds a model's weights as the settings say, and puts an adapter on.
///
/// # Errors
/// As [`open`].
pub(crate) fn prepare(model: Model, settings: &Training) -> Result<(Model, Option<AdapterConfig>), TrainError> {
    if settings.quantization.is_some() && settings.adapter.is_none() {
        let reason = "needs an `adapter`: weights in 4 bits are not trained".to_owned();
        return Err(TrainError::Setting { name: "quantization", reason });
    }
    let mut model = held(model, settings);
    let Some(adapter) = &settings.adapter else { return Ok((model, None)) };
    let config = if let Some(folder) = &adapter.init_from {
        model.load_adapter(folder)?
    } else {
        let config = config(adapter, model.config());
        model.add_adapter(&config, settings.seed).map_err(|reason| TrainError::Setting { name: "adapter", reason })?;
        config
    };
    Ok((model, Some(config)))
}

/// Returns the configuration of a new adapter as its file will have it, for a model with this `config.json`.
pub(super) fn config(adapter: &Adapter, model: &Map<String, Value>) -> AdapterConfig {
    let model_type = model.get("model_type").and_then(Value::as_str).unwrap_or_default();
    AdapterConfig {
        r: adapter.r,
        lora_alpha: adapter.lora_alpha,
        lora_dropout: adapter.lora_dropout,
        target_modules: Some(adapter.target_modules.clone().unwrap_or_else(|| Modules::usual(model_type))),
        exclude_modules: adapter.exclude_modules.clone(),
        layers_to_transform: adapter.layers_to_transform.clone(),
        modules_to_save: adapter.modules_to_save.clone(),
        rank_pattern: adapter.rank_pattern.clone(),
        alpha_pattern: adapter.alpha_pattern.clone(),
        use_rslora: adapter.use_rslora,
        use_dora: adapter.use_dora,
        bias: adapter.bias,
        init_lora_weights: adapter.init_lora_weights,
        ..AdapterConfig::default()
    }
}
