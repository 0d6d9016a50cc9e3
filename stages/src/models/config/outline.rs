//! The outline of a checkpoint. Takes its `config.json` and the headers of its files; gives names, shapes, and how each weight is stored.
//! No weight is read, and no memory is allocated by a size that a file claims.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    path::Path,
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    CONFIG,
    shapes::{adapter_shapes, shapes},
};
use crate::models::{
    adapters::{self, config::AdapterConfig},
    architectures::architecture,
    error::CheckpointError,
    new::{NewModel, config_of},
    weights::{
        quantised,
        safetensors_in::{INDEX, Index, WEIGHTS},
        storage::Storage,
        weight::layer_of,
    },
};
use crate::regular::open_regular;

/// The longest header that safetensors writes and reads.
const LONGEST_HEADER: u64 = 100_000_000;

/// All that is known of a checkpoint without its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outline {
    /// The content of `config.json`.
    pub(crate) config: Map<String, Value>,
    /// The storage of base weights that are not in f32, by name.
    storage: BTreeMap<String, Storage>,
    /// Settings of the adapter, if there is one.
    pub(crate) adapter: Option<AdapterConfig>,
}

impl Outline {
    /// Returns the outline of a new decoder, whose tokenizer has `vocabulary` tokens [default: as many as it may learn].
    pub(crate) fn of_new(new: &NewModel, vocabulary: Option<usize>) -> Self {
        let vocab_size = vocabulary.unwrap_or(new.vocab_size);
        let config = config_of(&NewModel { vocab_size, ..new.clone() });
        Self { config, storage: BTreeMap::new(), adapter: None }
    }

    /// Reads the outline of a folder.
    ///
    /// # Errors
    /// As [`Outline::read`].
    pub(crate) fn of_folder(folder: &Path) -> Result<Self, CheckpointError> {
        Self::read(folder, |name| match open_regular(&folder.join(name)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
    }

    /// Reads the outline from the configuration, the headers of the weights' files and the adapter's settings. `open` opens a file by its
    /// name, if it exists; `folder` is for messages.
    ///
    /// # Errors
    /// A file cannot be read or is malformed. Weights are not compared with the configuration.
    pub(crate) fn read<R: Read>(folder: &Path, open: impl Fn(&str) -> io::Result<Option<R>>) -> Result<Self, CheckpointError> {
        let content = |name: &str, reason: String| CheckpointError::Content { path: folder.join(name), reason };
        let whole = |name: &str| {
            let unread = |source| CheckpointError::File { path: folder.join(name), source };
            let Some(mut file) = open(name).map_err(unread)? else { return Ok(None) };
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(unread)?;
            Ok::<_, CheckpointError>(Some(bytes))
        };
        let missing = || CheckpointError::File { path: folder.join(CONFIG), source: io::ErrorKind::NotFound.into() };
        let config = whole(CONFIG)?.ok_or_else(missing)?;
        let config: Map<String, Value> = serde_json::from_slice(&config).map_err(|error| content(CONFIG, error.to_string()))?;
        let shapes = shapes(&config).map_err(|reason| content(CONFIG, reason))?;
        let in_codes = quantised::check(&config).map_err(|reason| content(CONFIG, reason))?;

        let mut types = BTreeMap::new();
        let mut add = |name: &str| {
            let unread = |source| CheckpointError::File { path: folder.join(name), source };
            let Some(file) = open(name).map_err(unread)? else { return Ok(false) };
            types.extend(header(file).map_err(|error| content(name, error.to_string()))?);
            Ok::<_, CheckpointError>(true)
        };
        // As in transformers, a single file is preferred to shards.
        if !add(WEIGHTS)?
            && let Some(index) = whole(INDEX)?
        {
            let index: Index = serde_json::from_slice(&index).map_err(|error| content(INDEX, error.to_string()))?;
            for shard in index.shards().map_err(|reason| content(INDEX, reason))? {
                add(shard)?;
            }
        }
        let storage = |name: &String| {
            if in_codes && types.contains_key(&format!("{name}{}", quantised::STATE)) {
                let nested = types.contains_key(&format!("{name}.nested_absmax"));
                return if nested { Storage::Nf4Nested } else { Storage::Nf4 };
            }
            match types.get(name).map(String::as_str) {
                Some("BF16" | "F16") => Storage::Half,
                _ => Storage::Full,
            }
        };
        let storage =
            shapes.keys().map(|name| (name.clone(), storage(name))).filter(|(_, storage)| *storage != Storage::Full).collect();
        let adapter = whole(adapters::CONFIG)?.map(|bytes| AdapterConfig::read(&bytes)).transpose();
        let adapter = adapter.map_err(|reason| content(adapters::CONFIG, reason))?;
        Ok(Self { config, storage, adapter })
    }

    /// Returns the outline of a model in memory, whose adapter has these settings.
    #[cfg(test)]
    pub(crate) fn of_model(model: &crate::models::Model, adapter: Option<AdapterConfig>) -> Self {
        let storage = model.parameters().iter().map(|(name, weight)| (name.to_owned(), Storage::of(weight)));
        let storage = storage.filter(|(_, storage)| *storage != Storage::Full).collect();
        Self { config: model.config().clone(), storage, adapter }
    }

    /// Returns the outline with the projections of all blocks in 4 bits, as [`crate::models::Model::quantise`] quantises them.
    #[must_use]
    pub(crate) fn quantised(mut self, double_quant: bool) -> Self {
        let storage = if double_quant { Storage::Nf4Nested } else { Storage::Nf4 };
        for (name, shape) in shapes(&self.config).unwrap_or_default() {
            if shape.len() == 2 && layer_of(&name).is_some() && !self.storage_of(&name).in_codes() {
                self.storage.insert(name, storage);
            }
        }
        self
    }

    /// Returns the outline with an adapter.
    #[must_use]
    pub(crate) fn adapted(self, adapter: AdapterConfig) -> Self {
        Self { adapter: Some(adapter), ..self }
    }

    /// Returns the outline with all weights in f32, as after training all weights.
    #[must_use]
    pub(crate) fn in_full(self) -> Self {
        Self { storage: BTreeMap::new(), ..self }
    }

    /// Returns how a weight is stored.
    fn storage_of(&self, name: &str) -> Storage {
        self.storage.get(name).copied().unwrap_or_default()
    }

    /// Returns the shape and the storage of the base's weights, by name.
    ///
    /// # Errors
    /// The configuration is malformed or not supported.
    pub(crate) fn weights(&self) -> Result<BTreeMap<String, (Vec<usize>, Storage)>, String> {
        let storage = |(name, shape): (String, Vec<usize>)| {
            let storage = self.storage_of(&name);
            (name, (shape, storage))
        };
        Ok(shapes(&self.config)?.into_iter().map(storage).collect())
    }

    /// Returns the shapes of the weights that the adapter adds to the base or replaces; none without an adapter.
    ///
    /// # Errors
    /// As [`Outline::weights`].
    pub(crate) fn added(&self) -> Result<BTreeMap<String, Vec<usize>>, String> {
        let shapes = shapes(&self.config)?;
        Ok(self.adapter.as_ref().map(|adapter| adapter_shapes(adapter, &shapes)).unwrap_or_default())
    }

    /// Returns the largest number of a row's tokens.
    ///
    /// # Errors
    /// As [`Outline::weights`].
    pub(crate) fn max_position_embeddings(&self) -> Result<usize, String> {
        Ok(architecture(&self.config)?.sizes().max_position_embeddings)
    }
}

/// Reads the types of a safetensors file's tensors by their names, from the header alone.
fn header(mut file: impl Read) -> io::Result<BTreeMap<String, String>> {
    let invalid = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > LONGEST_HEADER {
        return Err(invalid(format!("its header has {length} bytes")));
    }
    let tensors: BTreeMap<String, Value> =
        serde_json::from_reader(file.take(length)).map_err(|error| invalid(error.to_string()))?;
    let dtype = |(name, tensor): (String, Value)| Some((name, tensor.get("dtype")?.as_str()?.to_owned()));
    Ok(tensors.into_iter().filter_map(dtype).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::Checkpoint;
    use crate::models::tests::tiny;

    #[test]
    fn a_folder_is_told_as_the_model_that_is_read_from_it() {
        let folder = tempfile::tempdir().unwrap();
        for double_quant in [None, Some(false), Some(true)] {
            let mut checkpoint: Checkpoint = tiny(1);
            if let Some(double_quant) = double_quant {
                checkpoint.model.quantise(double_quant);
            }
            let config = AdapterConfig {
                r: 3,
                target_modules: Some(crate::models::Modules::Names(vec!["q_proj".into()])),
                ..AdapterConfig::default()
            };
            checkpoint.model.add_adapter(&config, 1).unwrap();
            checkpoint.adapter = Some(config);
            checkpoint.save(folder.path()).unwrap();
            let read = Checkpoint::load(folder.path()).unwrap();
            let outline = Outline::of_folder(folder.path()).unwrap();
            assert_eq!(outline, Outline::of_model(&read.model, read.adapter.clone()));
            let expected = double_quant.map_or(Storage::Full, |nested| if nested { Storage::Nf4Nested } else { Storage::Nf4 });
            let weights = outline.weights().unwrap();
            assert_eq!(weights["model.layers.1.mlp.up_proj.weight"], (vec![24, 16], expected));
            assert_eq!(weights["model.embed_tokens.weight"].1, Storage::Full);
            assert_eq!(outline.added().unwrap().len(), 2 * read.model.layers());
        }
    }

    #[test]
    fn a_header_that_claims_too_much_is_refused() {
        for bytes in [&[255_u8; 16][..], &[1, 2], &[2, 0, 0, 0, 0, 0, 0, 0, b'{'], &[2, 0, 0, 0, 0, 0, 0, 0, b'[', b']']] {
            assert!(header(bytes).is_err(), "{bytes:?}");
        }
        let empty = header(&[2, 0, 0, 0, 0, 0, 0, 0, b'{', b'}'][..]).unwrap();
        assert!(empty.is_empty());
    }
}
