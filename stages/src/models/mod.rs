//! Decoder models: a checkpoint (weights, configuration, tokenizer) in memory, and the same as a folder of Hugging Face files.

mod batch;
pub mod llama;
mod weights;

use std::fs;
use std::path::{Path, PathBuf};

pub use batch::{Batch, Row, Target};
pub use llama::{Llama, LlamaConfig, LlamaSettings};
use serde::de::DeserializeOwned;

use crate::tokenizer::{Tokenizer, TokenizerError};

/// Weights and the tokenizer they were trained with.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The decoder, on a device without gradients.
    pub model: Llama,
    /// Text to token ids, with the chat template.
    pub tokenizer: Tokenizer,
}

/// Says why a checkpoint could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// A file could not be written or read.
    #[error("cannot access `{path}`: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is there and says something else than a checkpoint must.
    #[error("`{path}` is not a checkpoint's file: {reason}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The tokenizer's files do not make a tokenizer.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
}

impl Checkpoint {
    /// Makes an untrained decoder for a tokenizer, its weights drawn from `seed`.
    ///
    /// # Errors
    /// Sizes that do not fit together (see [`LlamaSettings::check`]).
    pub fn new(settings: &LlamaSettings, tokenizer: Tokenizer, seed: u64) -> Result<Self, String> {
        let config = LlamaConfig::new(settings, &tokenizer)?;
        Ok(Self { model: Llama::new(config, seed), tokenizer })
    }

    /// Writes `config.json`, `model.safetensors`, `tokenizer.json` and `tokenizer_config.json` into an existing folder.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), CheckpointError> {
        write(&folder.join("config.json"), &json(self.model.config()))?;
        write(&folder.join("model.safetensors"), &weights::to_bytes(&self.model))?;
        write(&folder.join("tokenizer.json"), self.tokenizer.to_json().as_bytes())?;
        write(&folder.join("tokenizer_config.json"), &json(&self.tokenizer.config()))
    }

    /// Reads what [`Checkpoint::save`] wrote.
    ///
    /// # Errors
    /// A file that is missing, is damaged, or does not fit the others.
    pub fn load(folder: &Path) -> Result<Self, CheckpointError> {
        let tokenizer = Tokenizer::open(folder)?;
        let config: LlamaConfig = parse(&folder.join("config.json"))?;
        let path = folder.join("model.safetensors");
        let content = |reason| CheckpointError::Content { path: path.clone(), reason };
        config.check().map_err(|reason| CheckpointError::Content { path: folder.join("config.json"), reason })?;
        if tokenizer.size() > config.vocab_size {
            return Err(content(format!("the tokenizer has {} tokens, the model {}", tokenizer.size(), config.vocab_size)));
        }
        let model = weights::from_bytes(config, &read(&path)?).map_err(content)?;
        Ok(Self { model, tokenizer })
    }
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("configurations have string keys and finite numbers");
    bytes.push(b'\n');
    bytes
}

fn parse<T: DeserializeOwned>(path: &Path) -> Result<T, CheckpointError> {
    serde_json::from_slice(&read(path)?)
        .map_err(|error| CheckpointError::Content { path: path.into(), reason: error.to_string() })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    fs::write(path, bytes).map_err(|source| CheckpointError::File { path: path.into(), source })
}

fn read(path: &Path) -> Result<Vec<u8>, CheckpointError> {
    fs::read(path).map_err(|source| CheckpointError::File { path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::llama::tests::tiny;

    #[test]
    fn a_saved_checkpoint_reads_back_with_the_same_logits() {
        let checkpoint = tiny(3);
        let folder = tempfile::tempdir().unwrap();
        checkpoint.save(folder.path()).unwrap();
        let again = Checkpoint::load(folder.path()).unwrap();
        let row = Row::new(vec![1, 5, 9, 4], vec![vec![7, 8, 2]]);
        let batch = Batch::new(&[&row]);
        let logits = |model: &Llama| model.logits(&batch).into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(logits(&checkpoint.model), logits(&again.model));
        let other = tempfile::tempdir().unwrap();
        again.save(other.path()).unwrap();
        for name in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
            assert_eq!(fs::read(folder.path().join(name)).unwrap(), fs::read(other.path().join(name)).unwrap(), "{name}");
        }
    }

    #[test]
    fn damaged_and_missing_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Checkpoint::load(folder.path()).unwrap_err().to_string().contains("tokenizer.json"));
        tiny(3).save(folder.path()).unwrap();
        let path = folder.path().join("model.safetensors");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(Checkpoint::load(folder.path()).unwrap_err().to_string().contains("model.safetensors"));
    }
}
