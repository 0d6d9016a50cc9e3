//! Writing safetensors. Takes tensors; gives a file: the same bytes for the same tensors, in the order that the format asks for.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    path::Path,
};

use safetensors::{
    Dtype, SafeTensorError,
    tensor::{TensorView, View},
};

use super::weight::{Dense, Weight};
use crate::models::error::CheckpointError;

/// A tensor to be written to a file.
pub(crate) struct Stored<'a> {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Data<'a>,
}

enum Data<'a> {
    /// A weight whose bytes are made when it is written, so that only one tensor at a time is in memory twice.
    Weight(&'a Weight),
    Bytes(Cow<'a, [u8]>),
}

impl<'a> Stored<'a> {
    /// Stores a weight's values in f32.
    pub(crate) fn values_of(weight: &'a Weight) -> Self {
        Self { dtype: Dtype::F32, shape: weight.shape(), data: Data::Weight(weight) }
    }

    /// Stores values in f32.
    pub(crate) fn values(values: &[f32]) -> Self {
        Self { dtype: Dtype::F32, shape: vec![values.len()], data: Data::Bytes(little_endian(values).into()) }
    }

    /// Stores bytes, which are the values of a type and fill the shape.
    pub(crate) fn bytes(dtype: Dtype, shape: Vec<usize>, bytes: impl Into<Cow<'a, [u8]>>) -> Self {
        Self { dtype, shape, data: Data::Bytes(bytes.into()) }
    }
}

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match &self.data {
            Data::Weight(weight) => little_endian(&(*weight).clone().into_values()).into(),
            Data::Bytes(bytes) => Cow::Borrowed(bytes),
        }
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.bitsize() / 8
    }
}

/// Writes tensors to another file and renames it, so that programs which have the old file mapped keep its content.
pub(crate) fn write_tensors<'a>(
    path: &Path,
    tensors: impl IntoIterator<Item = (String, Stored<'a>)>,
) -> Result<(), CheckpointError> {
    let aside = path.with_extension("safetensors.partial");
    let unwritten = |source| CheckpointError::File { path: path.into(), source };
    safetensors::serialize_to_file(tensors, Some(metadata()), &aside).map_err(|error| match error {
        SafeTensorError::IoError(source) => unwritten(source),
        other => unwritten(std::io::Error::other(other.to_string())),
    })?;
    std::fs::rename(&aside, path).map_err(unwritten)
}

/// Returns the bytes of a file of tensors in f32. The same tensors give the same bytes.
pub(crate) fn tensors_to_bytes(tensors: &BTreeMap<String, Dense>) -> Vec<u8> {
    serialise(tensors.iter().map(|(name, (shape, values))| (name.clone(), Dtype::F32, shape.clone(), little_endian(values))))
}

/// Returns the bytes of a file of byte vectors, and of tensors in f32.
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
    safetensors::serialize(views, Some(metadata())).expect("names are unique and shapes are whole")
}

/// Returns the metadata that readers of Hugging Face's files ask for. A single entry keeps the header's order fixed.
fn metadata() -> HashMap<String, String> {
    [("format".to_owned(), "pt".to_owned())].into()
}
