//! What flows between stages: datasets of typed rows, checkpoints, metrics, files. An artifact is a handle; the content is in the store.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read, Write as _},
    marker::PhantomData,
    path::Path,
};

use cache::{Digest, Output, Tree, TreeEntry};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::canonical;
use super::{
    context::Context,
    error::{StageError, without_place},
};
use crate::store::Store;

/// Something that a port can carry.
pub trait Artifact: Sized + Send + Sync + 'static {
    /// Returns the type that a port for it has.
    fn accepts() -> Type;
    /// Returns the handle of an output that is in the store.
    fn open(store: &Store, output: Output) -> Self;
    /// Turns the handle into the output that is recorded.
    fn seal(self) -> Output;
}

/// A row of a dataset: one JSON object on each line.
pub trait Row: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The row's name in types: `question` in `dataset<question>`.
    const NAME: &'static str;
}

/// What a port carries, and how a file that stands in for it is checked.
#[derive(Clone, Debug)]
pub struct Type {
    /// For example `dataset<question>`, `checkpoint`, `file`; `any` takes everything.
    pub name: String,
    /// Reads one line as this row. The error has the column in the line and what is wrong.
    pub row: Option<fn(&str) -> Result<(), serde_json::Error>>,
}

impl Type {
    /// Returns the type of datasets of `T`.
    pub fn dataset<T: Row>() -> Self {
        Self { name: format!("dataset<{}>", T::NAME), row: Some(|line| serde_json::from_str::<T>(line).map(drop)) }
    }

    /// Returns the type called `name`, which has no rows.
    pub fn plain(name: &str) -> Self {
        Self { name: name.to_owned(), row: None }
    }

    /// Returns whether a port of this type takes an artifact of the type `other`.
    pub fn takes(&self, other: &Self) -> bool {
        self.name == "any" || self.name == other.name
    }
}

/// Rows of one type, in order. They are streamed, and never in memory all together.
pub struct Dataset<T> {
    store: Store,
    output: Output,
    row: PhantomData<fn() -> T>,
}

impl<T: Row> Dataset<T> {
    /// Writes rows in their order.
    ///
    /// # Errors
    /// A row cannot be written as JSON, or the cache cannot be written.
    pub fn write(ctx: &Context, rows: impl IntoIterator<Item = T>) -> Result<Self, StageError> {
        Self::try_write(ctx, rows.into_iter().map(Ok))
    }

    /// Writes rows in their order, or stops at the first error and keeps nothing.
    ///
    /// # Errors
    /// The first error among the rows; the cache cannot be written.
    pub fn try_write(ctx: &Context, rows: impl IntoIterator<Item = Result<T, StageError>>) -> Result<Self, StageError> {
        let mut writer = DatasetWriter::new(ctx)?;
        for row in rows {
            writer.push(&row?)?;
        }
        writer.finish()
    }

    /// Reads the rows; an error names what is damaged or does not fit the row's type.
    ///
    /// # Errors
    /// The dataset is not in the cache; each row that is damaged or does not fit its type is an error of its own.
    pub fn rows(&self) -> Result<impl Iterator<Item = Result<T, StageError>> + use<T>, StageError> {
        let lines = self.store.buffered(&self.output.digest)?.lines();
        Ok(lines.enumerate().map(|(index, line)| {
            serde_json::from_str(&line?)
                .map_err(|error| StageError::failed(format!("row {} is no {}: {error}", index + 1, T::NAME)))
        }))
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        usize::try_from(self.output.rows.unwrap_or(0)).unwrap_or(usize::MAX)
    }

    /// Returns whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: Row> Artifact for Dataset<T> {
    fn accepts() -> Type {
        Type::dataset::<T>()
    }

    fn open(store: &Store, output: Output) -> Self {
        Self { store: store.clone(), output, row: PhantomData }
    }

    fn seal(self) -> Output {
        self.output
    }
}

/// Writes a dataset row by row.
pub struct DatasetWriter<T> {
    store: Store,
    blob: cache::BlobWriter,
    rows: u64,
    row: PhantomData<fn() -> T>,
}

impl<T: Row> DatasetWriter<T> {
    /// Starts an empty dataset.
    ///
    /// # Errors
    /// The cache cannot be written.
    pub fn new(ctx: &Context) -> Result<Self, StageError> {
        Ok(Self { store: ctx.store().clone(), blob: ctx.store().cache().writer()?, rows: 0, row: PhantomData })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// The row cannot be written as JSON, or the cache cannot be written.
    pub fn push(&mut self, row: &T) -> Result<(), StageError> {
        let line = canonical::line(row).map_err(StageError::failed)?;
        self.blob.write_all(&line)?;
        self.rows += 1;
        Ok(())
    }

    /// Stores the dataset.
    ///
    /// # Errors
    /// The cache cannot be written.
    pub fn finish(self) -> Result<Dataset<T>, StageError> {
        let (digest, bytes) = self.blob.finish()?;
        let output = Output { digest, artifact: Type::dataset::<T>().name, rows: Some(self.rows), bytes, tree: false };
        Ok(Dataset { store: self.store, output, row: PhantomData })
    }
}

/// A folder with a model in it.
pub struct Checkpoint {
    store: Store,
    output: Output,
}

impl Checkpoint {
    /// Stores the files of a folder, which has no folders in it, as a checkpoint.
    ///
    /// # Errors
    /// The folder cannot be read, or the cache cannot be written.
    pub fn keep(ctx: &Context, folder: &Path) -> Result<Self, StageError> {
        let store = ctx.store().clone();
        let mut tree = Tree { files: BTreeMap::new() };
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let (digest, bytes) = store.put_file(&entry.path())?;
            let name = entry.file_name().to_string_lossy().into_owned();
            tree.files.insert(name, TreeEntry { digest, bytes });
        }
        Self::seal_tree(store, &tree)
    }

    /// Returns the checkpoint with one file more, which replaces a file of the same name.
    ///
    /// # Errors
    /// The listing is damaged, or the cache cannot be written.
    pub fn with_file(&self, name: &str, content: &[u8]) -> Result<Self, StageError> {
        let mut tree = self.store.cache().tree(&self.output.digest)?;
        let digest = self.store.cache().put(content)?;
        tree.files.insert(name.to_owned(), TreeEntry { digest, bytes: content.len() as u64 });
        Self::seal_tree(self.store.clone(), &tree)
    }

    fn seal_tree(store: Store, tree: &Tree) -> Result<Self, StageError> {
        let output = Output {
            digest: store.cache().put_tree(tree)?,
            artifact: "checkpoint".to_owned(),
            rows: None,
            bytes: tree.bytes(),
            tree: true,
        };
        Ok(Self { store, output })
    }

    /// Opens the file of a name; `None` where there is none.
    ///
    /// # Errors
    /// The listing or the file is not in the cache, or is damaged.
    pub fn open_file(&self, name: &str) -> Result<Option<impl Read + use<>>, StageError> {
        let tree = self.store.cache().tree(&self.output.digest)?;
        tree.files.get(name).map(|entry| self.store.buffered(&entry.digest)).transpose()
    }

    /// Writes the files into `folder`, which must exist.
    ///
    /// # Errors
    /// A file is not in the cache, or the folder cannot be written.
    pub fn copy_to(&self, folder: &Path) -> Result<(), StageError> {
        copy_tree(&self.store, &self.output.digest, folder)
    }
}

/// Writes a tree's files into a folder that exists.
pub(crate) fn copy_tree(store: &Store, digest: &Digest, folder: &Path) -> Result<(), StageError> {
    for (name, entry) in store.cache().tree(digest)?.files {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        store.cache().copy_to(&entry.digest, &path)?;
    }
    Ok(())
}

impl Artifact for Checkpoint {
    fn accepts() -> Type {
        Type::plain("checkpoint")
    }

    fn open(store: &Store, output: Output) -> Self {
        Self { store: store.clone(), output }
    }

    fn seal(self) -> Output {
        self.output
    }
}

/// One JSON object of figures.
pub struct Metrics {
    store: Store,
    output: Output,
}

impl Metrics {
    /// Writes the object.
    ///
    /// # Errors
    /// The value cannot be written as JSON, or the cache cannot be written.
    pub fn write(ctx: &Context, value: &impl Serialize) -> Result<Self, StageError> {
        let text = canonical::text(value).map_err(StageError::failed)?;
        let output = Output {
            digest: ctx.store().cache().put(&text)?,
            artifact: "metrics".to_owned(),
            rows: None,
            bytes: text.len() as u64,
            tree: false,
        };
        Ok(Self { store: ctx.store().clone(), output })
    }

    /// Reads the object.
    ///
    /// # Errors
    /// The object is not in the cache, or is damaged.
    pub fn read(&self) -> Result<Value, StageError> {
        serde_json::from_slice(&self.store.cache().read(&self.output.digest)?).map_err(StageError::failed)
    }
}

impl Artifact for Metrics {
    fn accepts() -> Type {
        Type::plain("metrics")
    }

    fn open(store: &Store, output: Output) -> Self {
        Self { store: store.clone(), output }
    }

    fn seal(self) -> Output {
        self.output
    }
}

/// An artifact whose type is known at run time only: what a `command` takes and gives.
pub struct Anything {
    store: Store,
    output: Output,
}

impl Anything {
    /// Stores a file as it is.
    ///
    /// # Errors
    /// The file cannot be read, or the cache cannot be written.
    pub fn keep(ctx: &Context, path: &Path) -> Result<Self, StageError> {
        let (digest, bytes) = ctx.store().put_file(path)?;
        let output = Output { digest, artifact: "file".to_owned(), rows: None, bytes, tree: false };
        Ok(Self { store: ctx.store().clone(), output })
    }

    /// Stores a file of rows, each checked and written in canonical form. The error names line and column.
    ///
    /// # Errors
    /// A line is not a row of the type; the file cannot be read, or the cache cannot be written.
    pub fn keep_rows(ctx: &Context, path: &Path, kind: &Type) -> Result<Self, StageError> {
        let check = kind.row.ok_or_else(|| StageError::failed(format!("`{}` has no rows", kind.name)))?;
        let mut blob = ctx.store().cache().writer()?;
        let mut rows = 0;
        for (index, line) in BufReader::new(cache::open_regular(path)?).lines().enumerate() {
            let line = line?;
            let wrong = |error: serde_json::Error| {
                StageError::failed(format!(
                    "line {}, column {} is not a row of `{}`: {}",
                    index + 1,
                    error.column(),
                    kind.name,
                    without_place(&error)
                ))
            };
            check(&line).map_err(wrong)?;
            let value: Value = serde_json::from_str(&line).map_err(wrong)?;
            blob.write_all(&canonical::line(&value).map_err(StageError::failed)?)?;
            rows += 1;
        }
        let (digest, bytes) = blob.finish()?;
        let output = Output { digest, artifact: kind.name.clone(), rows: Some(rows), bytes, tree: false };
        Ok(Self { store: ctx.store().clone(), output })
    }

    /// Writes the content to `path`: a file, or a folder for a checkpoint.
    ///
    /// # Errors
    /// The content is not in the cache, or the path cannot be written.
    pub fn copy_to(&self, path: &Path) -> Result<(), StageError> {
        if self.output.tree {
            std::fs::create_dir_all(path)?;
            copy_tree(&self.store, &self.output.digest, path)
        } else {
            Ok(self.store.cache().copy_to(&self.output.digest, path)?)
        }
    }

    /// Opens the content of anything but a checkpoint.
    ///
    /// # Errors
    /// The content is not in the cache.
    pub fn reader(&self) -> Result<impl Read + use<>, StageError> {
        self.store.buffered(&self.output.digest)
    }
}

impl Artifact for Anything {
    fn accepts() -> Type {
        Type::plain("any")
    }

    fn open(store: &Store, output: Output) -> Self {
        Self { store: store.clone(), output }
    }

    fn seal(self) -> Output {
        self.output
    }
}
