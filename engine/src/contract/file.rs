//! Files that a manifest names. Takes a path as written; gives a [`File`], identified by the digest of its content, so that editing the
//! file changes the key.
//!
//! Params are read by serde, which has no room for the manifest's folder; [`reading`] lends [`Folders`] to [`File`]'s
//! deserializer for the time of one read.

use std::{
    borrow::Cow,
    cell::RefCell,
    collections::BTreeSet,
    io::BufRead,
    path::{Path, PathBuf},
};

use cache::Digest;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{context::Context, error::StageError};
use crate::store::Store;

/// A file that a manifest names. In a key it counts by its content alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    written: String,
    path: PathBuf,
    digest: Digest,
}

impl File {
    /// Finds and digests the file that a manifest calls `written`.
    ///
    /// # Errors
    /// A sentence for people, where it cannot be read or is not a file.
    pub(crate) fn find(written: &str, folders: &Folders) -> Result<Self, String> {
        let path = folders.path(written);
        if path.is_dir() {
            return Err(format!("`{written}` is a folder, not a file"));
        }
        Self::found(written.to_owned(), path)
    }

    /// Digests the file at a path.
    pub(crate) fn found(written: String, path: PathBuf) -> Result<Self, String> {
        let digest = digest(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => format!("there is no file `{written}` (looked for `{}`)", path.display()),
            _ => format!("`{written}` cannot be read: {error}"),
        })?;
        Ok(Self { written, path, digest })
    }

    /// Returns a file whose digest is known before it exists: a download. The stage writes it to `path`.
    ///
    /// # Errors
    /// `digest` is not `blake3:` and 64 hexadecimal digits.
    pub fn pinned(name: &str, digest: &str, path: &Path) -> Result<Self, StageError> {
        let digits = digest.strip_prefix("blake3:").unwrap_or(digest);
        Ok(Self { written: name.to_owned(), path: path.to_owned(), digest: digits.parse().map_err(StageError::failed)? })
    }

    /// Returns whether the content is in the cache, so that it need not be at its path.
    ///
    /// # Errors
    /// The cache cannot be read.
    pub fn is_kept(&self, ctx: &Context) -> Result<bool, StageError> {
        Ok(ctx.store().cache().check(&self.digest)?)
    }

    /// Stores what is at the path if it has the right digest, and returns whether it did.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn keep_if_right(&self, ctx: &Context) -> Result<bool, StageError> {
        Ok(digest(&self.path)? == self.digest && self.keep(ctx.store()).is_ok())
    }

    /// Returns the path as it was written, for messages.
    pub fn name(&self) -> &str {
        &self.written
    }

    /// Returns the end of the file's name after the last dot, in lower case.
    pub fn extension(&self) -> String {
        self.path.extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default()
    }

    /// Opens the content whose digest is in the key, whatever happened to the path since.
    ///
    /// # Errors
    /// The content is neither in the cache nor at the path.
    pub fn open(&self, ctx: &Context) -> Result<impl BufRead + Send + use<>, StageError> {
        let store = ctx.store();
        // Storing it again also repairs a copy that was damaged since.
        if !store.cache().check(&self.digest)? {
            self.keep(store)?;
        }
        store.buffered(&self.digest)
    }

    /// Writes the content whose digest is in the key to another path.
    pub(crate) fn copy_to(&self, ctx: &Context, path: &Path) -> Result<(), StageError> {
        let store = ctx.store();
        if !store.cache().check(&self.digest)? {
            self.keep(store)?;
        }
        Ok(store.cache().copy_to(&self.digest, path)?)
    }

    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns where the file is, for checks of a manifest. A stage reads what it computes with by [`File::open`].
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Stores the content, and refuses one that changed after the key was computed.
    pub(crate) fn keep(&self, store: &Store) -> Result<u64, StageError> {
        let (digest, bytes) = store.put_file(&self.path)?;
        if digest == self.digest {
            Ok(bytes)
        } else {
            Err(StageError::failed(format!("`{}` changed during the run", self.written)).help("run again"))
        }
    }
}

pub(crate) fn digest(path: &Path) -> std::io::Result<Digest> {
    let mut hasher = cache::Hasher::new();
    let mut file = cache::open_regular(path)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match std::io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

impl Serialize for File {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("blake3:{}", self.digest))
    }
}

impl JsonSchema for File {
    fn schema_name() -> Cow<'static, str> {
        "File".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "Path of a file, relative to the manifest." })
    }
}

/// What relative paths are relative to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Folders {
    /// The manifest's own folder.
    pub(crate) manifest: PathBuf,
    /// Values from the command line, which are relative to the current folder.
    pub(crate) from_command_line: BTreeSet<String>,
}

impl Folders {
    pub(crate) fn path(&self, written: &str) -> PathBuf {
        if self.from_command_line.contains(written) { PathBuf::from(written) } else { self.manifest.join(written) }
    }
}

thread_local! {
    static FOLDERS: RefCell<Option<Folders>> = const { RefCell::new(None) };
}

/// Runs `read` with paths relative to `folders`.
pub(crate) fn reading<T>(folders: &Folders, read: impl FnOnce() -> T) -> T {
    let before = FOLDERS.replace(Some(folders.clone()));
    let result = read();
    FOLDERS.set(before);
    result
}

/// Calls `take` with what relative paths are relative to; with `None` where no manifest is being read.
pub(crate) fn lent<T>(take: impl FnOnce(Option<&Folders>) -> T) -> T {
    FOLDERS.with_borrow(|folders| take(folders.as_ref()))
}

impl<'de> Deserialize<'de> for File {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = String::deserialize(deserializer)?;
        lent(|folders| match folders {
            Some(folders) => Self::find(&written, folders).map_err(D::Error::custom),
            None => Err(D::Error::custom("a file can be named in a manifest only")),
        })
    }
}
