//! The start of a training. Takes a folder and settings; gives a model, quantised and with an adapter if the settings say so.

use std::path::Path;

use serde_json::{Map, Value};

use super::{
    TrainError,
    settings::{Adapter, Training},
};
use crate::models::{AdapterConfig, Model, Modules, Outline};

/// Opens the model that is trained, and returns the configuration of its adapter.
///
/// # Errors
/// The folder has no model or no adapter, or the settings do not fit it.
pub fn open(base: &Path, settings: &Training) -> Result<(Model, Option<AdapterConfig>), TrainError> {
    check(settings)?;
    let double_quant = settings.quantization.as_ref().map(|quantization| quantization.double_quant);
    let (model, mut adapter) = prepare(Model::load_stored(base, double_quant)?, settings)?;
    if let Some(config) = &mut adapter {
        config.base_model_name_or_path.get_or_insert_with(|| base.display().to_string());
    }
    Ok((model, adapter))
}

/// Returns the outline of the model that is trained, which the trained model has too: quantised, with an adapter, or with all weights in f32.
#[must_use]
pub(crate) fn prepared_outline(start: Outline, settings: &Training) -> Outline {
    let start = match &settings.quantization {
        Some(quantization) => start.quantised(quantization.double_quant),
        None => start,
    };
    match &settings.adapter {
        Some(adapter) => {
            let adapter = config(adapter, &start.config);
            start.adapted(adapter)
        }
        None if start.adapter.is_none() => start.in_full(),
        None => start,
    }
}

/// Returns an error if the settings ask for quantised weights without an adapter.
fn check(settings: &Training) -> Result<(), TrainError> {
    if settings.quantization.is_some() && settings.adapter.is_none() {
        let reason = "needs an `adapter`: weights in 4 bits are not trained".to_owned();
        return Err(TrainError::Setting { name: "quantization", reason });
    }
    Ok(())
}

/// Adds the adapter of the settings to a model that is quantised accordingly.
///
/// # Errors
/// As [`open`].
pub(crate) fn prepare(mut model: Model, settings: &Training) -> Result<(Model, Option<AdapterConfig>), TrainError> {
    check(settings)?;
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

/// Returns the configuration of a new adapter, as in its `adapter_config.json`, for a model with this `config.json`.
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
