//! safetensors files in, a model's weights out, each copied once from the mapped file; and weights out again, the same bytes for the same.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::tensor::{TensorInfo, TensorView};
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

use super::error::CheckpointError;
use super::parameters::Dense;

/// Tensors of one or several mapped files, by name.
pub(super) struct Tensors {
    files: Vec<(PathBuf, Mmap, usize)>,
    index: BTreeMap<String, (usize, TensorInfo)>,
}

/// `model.safetensors.index.json`.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Tensors {
    /// Opens a model's weights: `model.safetensors`, or the shards that `model.safetensors.index.json` names.
    pub(super) fn of_model(folder: &Path) -> Result<Self, CheckpointError> {
        let (single, index) = (folder.join("model.safetensors"), folder.join("model.safetensors.index.json"));
        // As transformers does: a whole file before shards.
        if single.exists() || !index.exists() {
            return Self::open(&[single]);
        }
        let content = |reason: String| CheckpointError::Content { path: index.clone(), reason };
        let text = std::fs::read(&index).map_err(|source| CheckpointError::File { path: index.clone(), source })?;
        let Index { weight_map } = serde_json::from_slice(&text).map_err(|error| content(error.to_string()))?;
        let mut shards: Vec<&String> = weight_map.values().collect();
        shards.sort();
        shards.dedup();
        if let Some(shard) = shards.iter().find(|shard| Path::new(shard).file_name() != Some(shard.as_ref())) {
            return Err(content(format!("the shard `{shard}` is not a file of this folder")));
        }
        let tensors = Self::open(&shards.iter().map(|shard| folder.join(shard)).collect::<Vec<_>>())?;
        for (name, shard) in &weight_map {
            let place = tensors.index.get(name).map(|(file, _)| tensors.files[*file].0.as_path());
            if place != Some(folder.join(shard).as_path()) {
                return Err(content(format!("`{name}` is not in `{shard}`")));
            }
        }
        Ok(tensors)
    }

    /// Maps files and reads their headers.
    pub(super) fn open(paths: &[PathBuf]) -> Result<Self, CheckpointError> {
        let mut tensors = Self { files: Vec::new(), index: BTreeMap::new() };
        for path in paths {
            let map = map(path).map_err(|source| CheckpointError::File { path: path.clone(), source })?;
            let content = |reason: String| CheckpointError::Content { path: path.clone(), reason };
            let (length, header) = SafeTensors::read_metadata(&map).map_err(|error| content(error.to_string()))?;
            let names: BTreeMap<_, _> = header.tensors().into_iter().collect();
            for (name, info) in names {
                if tensors.index.insert(name.clone(), (tensors.files.len(), info.clone())).is_some() {
                    return Err(content(format!("`{name}` is in another file too")));
                }
            }
            tensors.files.push((path.clone(), map, 8 + length));
        }
        Ok(tensors)
    }

    /// Returns the names in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.index.keys().map(String::as_str)
    }

    /// Returns how many tensors there are.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// Says whether a tensor is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.index.contains_key(name)
    }

    /// Returns a tensor's shape, if it is there.
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.index.get(name).map(|(_, info)| info.shape.as_slice())
    }

    /// Makes an error about a tensor.
    pub(super) fn wrong(&self, name: &str, reason: String) -> CheckpointError {
        let path = self.index.get(name).map_or_else(|| self.files[0].0.clone(), |(file, _)| self.files[*file].0.clone());
        CheckpointError::Tensor { path, name: name.to_owned(), reason }
    }

    fn bytes(&self, name: &str) -> Result<(Dtype, &[u8]), CheckpointError> {
        let (file, info) = self.index.get(name).ok_or_else(|| self.wrong(name, "is missing".into()))?;
        let (_, map, start) = &self.files[*file];
        let (from, to) = info.data_offsets;
        Ok((info.dtype, &map[start + from..start + to]))
    }

    /// Returns a tensor of bytes.
    pub(super) fn raw(&self, name: &str) -> Result<&[u8], CheckpointError> {
        match self.bytes(name)? {
            (Dtype::U8, bytes) => Ok(bytes),
            (other, _) => Err(self.wrong(name, format!("holds {other:?}, not bytes"))),
        }
    }

    /// Reads a tensor's values as f32, whatever it is stored in, and refuses those that are no numbers.
    pub(super) fn values(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        let (dtype, bytes) = self.bytes(name)?;
        let values: Vec<f32> = match dtype {
            Dtype::F32 => bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            Dtype::BF16 => bytes.as_chunks().0.iter().map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect(),
            Dtype::F16 => bytes.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect(),
            other => return Err(self.wrong(name, format!("holds {other:?}, and weights are read in f32, bf16 and f16"))),
        };
        match values.iter().position(|value| !value.is_finite()) {
            Some(at) => Err(self.wrong(name, format!("holds {} at element {at}", values[at]))),
            None => Ok(values),
        }
    }
}

#[expect(unsafe_code, reason = "mapping a file, so that weights are not in memory twice")]
fn map(path: &Path) -> std::io::Result<Mmap> {
    let file = File::open(path)?;
    // SAFETY: the map is read only, and lives no longer than the loading of one model. As everywhere where safetensors are mapped, nobody
    // may change the file meanwhile: whoever writes checkpoints here writes them aside and renames them.
    unsafe { Mmap::map(&file) }
}

/// Reads one matrix of a file, whatever float it is stored in.
pub(crate) fn read_matrix(path: &Path, name: &str) -> Result<([usize; 2], Vec<f32>), CheckpointError> {
    let tensors = Tensors::open(&[path.to_path_buf()])?;
    match tensors.shape(name) {
        Some(&[out, into]) => Ok(([out, into], tensors.values(name)?)),
        Some(shape) => Err(tensors.wrong(name, format!("has the shape {shape:?}, and is not a matrix"))),
        None => Err(tensors.wrong(name, "is missing".into())),
    }
}

/// Writes tensors as f32; the same tensors give the same bytes.
pub(crate) fn tensors_to_bytes(tensors: &BTreeMap<String, Dense>) -> Vec<u8> {
    serialise(tensors.iter().map(|(name, (shape, values))| (name.clone(), Dtype::F32, shape.clone(), little_endian(values))))
}

/// Writes vectors of bytes, and tensors as f32.
pub(crate) fn tensors_of_bytes_and_values(bytes: &BTreeMap<&str, &[u8]>, tensors: &BTreeMap<&str, Dense>) -> Vec<u8> {
    let bytes = bytes.iter().map(|(name, bytes)| ((*name).to_owned(), Dtype::U8, vec![bytes.len()], bytes.to_vec()));
    let tensors =
        tensors.iter().map(|(name, (shape, values))| ((*name).to_owned(), Dtype::F32, shape.clone(), little_endian(values)));
    serialise(bytes.chain(tensors))
}

fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn serialise(tensors: impl Iterator<Item = (String, Dtype, Vec<usize>, Vec<u8>)>) -> Vec<u8> {
    let tensors: Vec<_> = tensors.collect();
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        let view = TensorView::new(*dtype, shape.clone(), bytes).expect("the values fill the shape");
        (name.as_str(), view)
    });
    // Readers of Hugging Face's files ask for this entry; one entry alone keeps the header's order fixed.
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    safetensors::serialize(views, Some(metadata)).expect("names are unique and shapes are whole")
}
