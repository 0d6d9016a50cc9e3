//! Reading safetensors. Takes files; gives tensors: those of 16 bits a value in the memory of the file, the others as copies.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use safetensors::{Dtype, SafeTensors, tensor::TensorInfo};
use serde::Deserialize;

use super::{
    frozen::{Half, HalfWeight},
    mapped::Mapped,
    weight::Dense,
};
use crate::{
    models::error::CheckpointError,
    regular::{open_regular, read_regular},
};

/// The tensors of one or several files, by name. Only headers are kept in memory; values are read when they are asked for.
pub(crate) struct Tensors {
    /// Path, file, and the offset at which its data begin.
    files: Vec<(PathBuf, File, usize)>,
    index: BTreeMap<String, (usize, TensorInfo)>,
}

/// Number of values that are read at a time.
const CHUNK: usize = 1 << 18;

/// The file of all weights.
pub(crate) const WEIGHTS: &str = "model.safetensors";

/// The file that says which of several files has a weight.
pub(crate) const INDEX: &str = "model.safetensors.index.json";

/// The content of [`INDEX`].
#[derive(Deserialize)]
pub(crate) struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Index {
    /// Returns the names of the shards, which are files in the folder of the index.
    pub(crate) fn shards(&self) -> Result<BTreeSet<&str>, String> {
        let shards: BTreeSet<&str> = self.weight_map.values().map(String::as_str).collect();
        match shards.iter().find(|shard| Path::new(shard).file_name() != Some(shard.as_ref())) {
            Some(shard) => Err(format!("the shard `{shard}` is not a file of this folder")),
            None => Ok(shards),
        }
    }
}

impl Tensors {
    /// Opens a model's weights: `model.safetensors`, or the shards that `model.safetensors.index.json` names.
    pub(crate) fn of_model(folder: &Path) -> Result<Self, CheckpointError> {
        let (single, index) = (folder.join(WEIGHTS), folder.join(INDEX));
        // As in transformers, a single file is preferred to shards.
        if single.exists() || !index.exists() {
            return Self::open(&[single]);
        }
        let content = |reason: String| CheckpointError::Content { path: index.clone(), reason };
        let text = read_regular(&index).map_err(|source| CheckpointError::File { path: index.clone(), source })?;
        let read: Index = serde_json::from_slice(&text).map_err(|error| content(error.to_string()))?;
        let shards = read.shards().map_err(content)?;
        let tensors = Self::open(&shards.iter().map(|shard| folder.join(shard)).collect::<Vec<_>>())?;
        for (name, shard) in &read.weight_map {
            let place = tensors.index.get(name).map(|(file, _)| tensors.files[*file].0.as_path());
            if place != Some(folder.join(shard).as_path()) {
                return Err(content(format!("`{name}` is not in `{shard}`")));
            }
        }
        Ok(tensors)
    }

    /// Opens files and reads their headers.
    pub(crate) fn open(paths: &[PathBuf]) -> Result<Self, CheckpointError> {
        let mut tensors = Self { files: Vec::new(), index: BTreeMap::new() };
        for path in paths {
            let unread = |source| CheckpointError::File { path: path.clone(), source };
            let content = |reason: String| CheckpointError::Content { path: path.clone(), reason };
            let file = open_regular(path).map_err(unread)?;
            let length = file.metadata().map_err(unread)?.len() as usize;
            // Only the header of the map is read. The offsets in it are checked against the file's length.
            let whole = Mapped::new(&file, 0, length).map_err(unread)?;
            let (header, metadata) = SafeTensors::read_metadata(whole.as_slice()).map_err(|error| content(error.to_string()))?;
            let names: BTreeMap<_, _> = metadata.tensors().into_iter().collect();
            for (name, info) in names {
                if tensors.index.insert(name.clone(), (tensors.files.len(), info.clone())).is_some() {
                    return Err(content(format!("`{name}` is in another file too")));
                }
            }
            tensors.files.push((path.clone(), file, 8 + header));
        }
        Ok(tensors)
    }

    /// Returns the names in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.index.keys().map(String::as_str)
    }

    /// Returns the number of tensors.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Returns whether there is a tensor of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.index.contains_key(name)
    }

    /// Returns a tensor's shape, if it is there.
    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.index.get(name).map(|(_, info)| info.shape.as_slice())
    }

    /// Builds an error about a tensor.
    pub(crate) fn wrong(&self, name: &str, reason: String) -> CheckpointError {
        let path = self.index.get(name).map_or_else(|| self.files[0].0.clone(), |(file, _)| self.files[*file].0.clone());
        CheckpointError::Tensor { path, name: name.to_owned(), reason }
    }

    /// Returns a tensor's file, its offset there, and its type and shape.
    fn place(&self, name: &str) -> Result<(&Path, &File, usize, &TensorInfo), CheckpointError> {
        let (file, info) = self.index.get(name).ok_or_else(|| self.wrong(name, "is missing".into()))?;
        let (path, file, start) = &self.files[*file];
        Ok((path, file, start + info.data_offsets.0, info))
    }

    /// Reads bytes of a tensor from its byte `from` on.
    fn read(&self, name: &str, from: usize, bytes: &mut [u8]) -> Result<(), CheckpointError> {
        let (path, mut file, start, _) = self.place(name)?;
        let read = file.seek(SeekFrom::Start((start + from) as u64)).and_then(|_| file.read_exact(bytes));
        read.map_err(|source| CheckpointError::File { path: path.into(), source })
    }

    /// Returns a tensor of bytes.
    pub(crate) fn raw(&self, name: &str) -> Result<Vec<u8>, CheckpointError> {
        let (.., info) = self.place(name)?;
        if info.dtype != Dtype::U8 {
            return Err(self.wrong(name, format!("holds {:?}, not bytes", info.dtype)));
        }
        let mut bytes = vec![0; info.data_offsets.1 - info.data_offsets.0];
        self.read(name, 0, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads a tensor's values from element `start` on as f32, whatever float they are stored in.
    ///
    /// # Errors
    /// The tensor is of another type, or has a value that is not finite.
    fn part(&self, name: &str, start: usize, out: &mut [f32]) -> Result<(), CheckpointError> {
        let (.., info) = self.place(name)?;
        let kind = match info.dtype {
            Dtype::F32 => None,
            Dtype::BF16 => Some(Half::Bf16),
            Dtype::F16 => Some(Half::F16),
            other => return Err(self.wrong(name, format!("holds {other:?}, and weights are read in f32, bf16 and f16"))),
        };
        let size = if kind.is_some() { 2 } else { 4 };
        let mut bytes = vec![0; out.len() * size];
        self.read(name, start * size, &mut bytes)?;
        match kind {
            Some(kind) => kind.unpack(&bytes, out),
            None => bytes.as_chunks().0.iter().zip(&mut *out).for_each(|(bytes, out)| *out = f32::from_le_bytes(*bytes)),
        }
        match out.iter().position(|value| !value.is_finite()) {
            Some(at) => Err(self.wrong(name, format!("holds {} at element {}", out[at], start + at))),
            None => Ok(()),
        }
    }

    fn count(&self, name: &str) -> usize {
        self.shape(name).unwrap_or_default().iter().product()
    }

    /// Calls a function with each part of a tensor's values, and the index of the part's first element.
    fn each_part(
        &self,
        name: &str,
        mut take: impl FnMut(usize, &[f32]) -> Result<(), CheckpointError>,
    ) -> Result<(), CheckpointError> {
        let count = self.count(name);
        let mut part = vec![0.0; CHUNK.min(count)];
        for start in (0..count).step_by(CHUNK) {
            let part = &mut part[..CHUNK.min(count - start)];
            self.part(name, start, part)?;
            take(start, part)?;
        }
        Ok(())
    }

    /// Reads all values of a tensor as f32, whatever float they are stored in.
    ///
    /// # Errors
    /// The tensor is of another type, or has a value that is not finite.
    pub(crate) fn values(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        self.place(name)?;
        let mut values = Vec::with_capacity(self.count(name));
        self.each_part(name, |_, part| {
            values.extend_from_slice(part);
            Ok(())
        })?;
        Ok(values)
    }

    /// Returns whether two tensors have the same values.
    pub(crate) fn same(&self, one: &str, other: &str) -> Result<bool, CheckpointError> {
        if self.count(one) != self.count(other) {
            return Ok(false);
        }
        let (mut same, mut theirs) = (true, vec![0.0; CHUNK]);
        self.each_part(one, |start, part| {
            let theirs = &mut theirs[..part.len()];
            self.part(other, start, theirs)?;
            same &= part == theirs;
            Ok(())
        })?;
        Ok(same)
    }

    /// Returns a tensor of 16 bits a value in the memory of its file, or nothing if it is of another type. Its values are finite.
    pub(crate) fn half(&self, name: &str) -> Result<Option<HalfWeight>, CheckpointError> {
        let (path, file, start, info) = self.place(name)?;
        let kind = match info.dtype {
            Dtype::BF16 => Half::Bf16,
            Dtype::F16 => Half::F16,
            _ => return Ok(None),
        };
        self.each_part(name, |_, _| Ok(()))?;
        let bytes = Mapped::new(file, start, 2 * self.count(name));
        let bytes = bytes.map_err(|source| CheckpointError::File { path: path.into(), source })?;
        Ok(Some(HalfWeight { shape: info.shape.clone(), kind, bytes }))
    }
}

/// Reads one matrix of a file as f32, whatever float it is stored in.
pub(crate) fn read_matrix(path: &Path, name: &str) -> Result<([usize; 2], Vec<f32>), CheckpointError> {
    let tensors = Tensors::open(&[path.to_path_buf()])?;
    match tensors.shape(name) {
        Some(&[out, into]) => Ok(([out, into], tensors.values(name)?)),
        Some(shape) => Err(tensors.wrong(name, format!("has the shape {shape:?}, and is not a matrix"))),
        None => Err(tensors.wrong(name, "is missing".into())),
    }
}

/// Reads all tensors of a file as f32, whatever float they are stored in.
pub(crate) fn read_tensors(path: &Path) -> Result<BTreeMap<String, Dense>, CheckpointError> {
    let tensors = Tensors::open(&[path.to_path_buf()])?;
    let read = |name: &str| Ok((name.to_owned(), (tensors.shape(name).unwrap_or_default().to_vec(), tensors.values(name)?)));
    tensors.names().map(read).collect()
}
