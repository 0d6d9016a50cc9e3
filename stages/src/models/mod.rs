//! Decoder models. Takes a folder of Hugging Face files (weights, configuration, tokenizer); gives the same in memory, and back.
//!
//! ```text
//! config.json ─ config ─→ an architecture ──┐
//! *.safetensors ─ weights, quantised ─→ parameters ─→ decoder ─→ logits
//! adapter_* ──── adapter ────────────────┘      batch ─┘
//! ```
//!
//! Read `decoder` with `batch` (its input) first, then one file of `architectures` beside its paper, then `layers`, which it calls by
//! Hugging Face's names of modules. `weights` and `config` read the files, `adapters` adds `LoRA`, `new` draws a model from a seed. `fused`
//! has operations that pass over memory once; the device of the weights decides between `fused/cpu`, `fused/device` and `fused/cuda`.
//! `layer_by_layer` runs one layer at a time, and `generate` continues prompts. A model is read on the processor and moved to another
//! device as a whole (`device`).

mod adapters;
mod architectures;
mod batch;
mod config;
mod decoder;
mod device;
mod error;
pub(crate) mod fused;
mod generate;
mod layer_by_layer;
mod layers;
mod new;
mod weights;

use std::{fs, path::Path};

use burn::tensor::Device;

use crate::{regular::read_regular, tokenizer::Tokenizer};
pub use adapters::{
    config::{AdapterConfig, Bias},
    first_factors::InitLoraWeights,
    module_names::{Layers, Modules},
};
pub(crate) use batch::shared_beginning;
pub use batch::{Batch, LayoutError, Row, Target};
pub(crate) use config::outline::Outline;
pub use decoder::Model;
pub(crate) use device::is_processor;
#[cfg(test)]
pub(crate) use device::pretended::on_pretended_device;
pub use device::{DeviceError, DeviceName};
pub use error::{CheckpointError, InputError};
pub(crate) use fused::{AdamWStep, FIGURES, adamw, block_of, clipping, inject_gradient, prediction_figures, prediction_slopes};
pub use generate::generate;
pub(crate) use layers::{attention::Cache, dropout::Dropout, dynamic_rope::DynamicRope};
pub use new::{FirstAttention, NewArchitecture, NewModel};
#[cfg(test)]
pub(crate) use weights::frozen::Half;
pub use weights::{
    frozen::{Frozen, HalfWeight},
    nf4::{NestedScales, Nf4Matrix, Scales},
    nf4_tensor::Nf4Tensor,
    parameters::Parameters,
    values::Values,
    weight::Weight,
};
pub(crate) use weights::{
    safetensors_in::{read_matrix, read_tensors},
    safetensors_out::{tensors_of_bytes_and_values, tensors_to_bytes},
    storage::Storage,
    values::Squares,
    weight::{EMBEDDING, layer_of, weight_of},
};

/// A model and the tokenizer that it was trained with.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The decoder, without gradients, with its adapter if it has one.
    pub model: Model,
    /// Settings of the adapter, if there is one.
    pub adapter: Option<AdapterConfig>,
    /// The tokenizer, with its chat template.
    pub tokenizer: Tokenizer,
}

impl Checkpoint {
    /// Makes an untrained decoder for a tokenizer, with weights drawn from `seed`.
    ///
    /// # Errors
    /// Sizes do not fit together.
    pub fn new(settings: &NewModel, tokenizer: Tokenizer, seed: u64) -> Result<Self, String> {
        Ok(Self { model: settings.draw(&tokenizer, seed)?, adapter: None, tokenizer })
    }

    /// Returns the checkpoint with the decoder on a device.
    #[must_use]
    pub fn on(self, device: &Device) -> Self {
        Self { model: self.model.on(device), ..self }
    }

    /// Writes `config.json`, `model.safetensors`, `tokenizer.json` and `tokenizer_config.json` into an existing folder, and an adapter beside
    /// them in PEFT's files: the folder is the base and the adapter at once.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), CheckpointError> {
        self.model.save(folder)?;
        if let Some(adapter) = &self.adapter {
            let adapter = AdapterConfig { base_model_name_or_path: Some(".".into()), ..adapter.clone() };
            self.model.save_adapter(folder, &adapter)?;
        }
        write(&folder.join("tokenizer.json"), self.tokenizer.to_json().as_bytes())?;
        write(&folder.join("tokenizer_config.json"), &json(&self.tokenizer.config()))
    }

    /// Reads a folder that [`Checkpoint::save`] wrote.
    ///
    /// # Errors
    /// A file is missing or damaged, or does not fit the others.
    pub fn load(folder: &Path) -> Result<Self, CheckpointError> {
        Self::load_stored(folder, Tokenizer::open(folder)?, None)
    }

    /// Reads a folder without its tokenizer. If `double_quant` is given, the base is quantised to 4 bits while it is read.
    ///
    /// # Errors
    /// As [`Checkpoint::load`].
    pub(crate) fn load_stored(folder: &Path, tokenizer: Tokenizer, double_quant: Option<bool>) -> Result<Self, CheckpointError> {
        let adapted = folder.join(adapters::CONFIG).exists();
        // With an adapter, the base is quantised after it is loaded, since the adapter replaces weights of the base as the file has them.
        let mut model = Model::load_stored(folder, double_quant.filter(|_| !adapted))?;
        let adapter = if adapted { Some(model.load_adapter(folder)?) } else { None };
        if let Some(double_quant) = double_quant {
            model.quantise(double_quant);
        }
        if tokenizer.size() > model.vocab_size() {
            let reason = format!("the tokenizer has {} tokens, the model {}", tokenizer.size(), model.vocab_size());
            return Err(CheckpointError::Content { path: folder.join("tokenizer.json"), reason });
        }
        Ok(Self { model, adapter, tokenizer })
    }
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("configurations have string keys and finite numbers");
    bytes.push(b'\n');
    bytes
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    fs::write(path, bytes).map_err(|source| CheckpointError::File { path: path.into(), source })
}

fn read(path: &Path) -> Result<Vec<u8>, CheckpointError> {
    read_regular(path).map_err(|source| CheckpointError::File { path: path.into(), source })
}

#[cfg(test)]
pub(crate) mod tests;
