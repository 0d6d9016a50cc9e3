//! A path of a folder written in a manifest → a [`Folder`]: known by the digests of its files, so that editing one changes the key.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use cache::Digest;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};

use crate::{
    context::Context,
    error::StageError,
    file::{Folders, digest, with_folders},
};

/// A folder that a manifest names, its files directly in it. In a key it counts by their names and contents alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    written: String,
    path: PathBuf,
    files: BTreeMap<String, Digest>,
}

impl Folder {
    /// Finds the folder that a manifest calls `written`, and digests its files; hidden ones and folders in it do not belong to it.
    ///
    /// Errors: a sentence for people when it cannot be read, is no folder, or has no file.
    pub(crate) fn find(written: &str, folders: &Folders) -> Result<Self, String> {
        let path = folders.path(written);
        if path.is_file() {
            return Err(format!("`{written}` is a file, and a folder is needed"));
        }
        let files = files(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => format!("there is no folder `{written}` (looked for `{}`)", path.display()),
            _ => format!("`{written}` cannot be read: {error}"),
        })?;
        if files.is_empty() {
            return Err(format!("the folder `{written}` has no files"));
        }
        Ok(Self { written: written.to_owned(), path, files })
    }

    /// The path as it was written, for messages.
    pub fn name(&self) -> &str {
        &self.written
    }

    /// Writes the files that the key speaks of into `to`, which must exist, whatever happened to the path since.
    ///
    /// Errors: a file that changed after the key was made and of which no copy is kept; what the system says.
    pub fn copy_to(&self, ctx: &Context, to: &Path) -> Result<(), StageError> {
        let store = ctx.store();
        for (name, digest) in &self.files {
            // Also mends a copy that was damaged since.
            if !store.cache().check(digest)? && store.put_file(&self.path.join(name))?.0 != *digest {
                let changed = format!("`{name}` of `{}` changed while the run was going on", self.written);
                return Err(StageError::failed(changed).help("run again"));
            }
            store.cache().copy_to(digest, &to.join(name))?;
        }
        Ok(())
    }
}

fn files(folder: &Path) -> std::io::Result<BTreeMap<String, Digest>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_file() && !name.starts_with('.') {
            files.insert(name, digest(&path)?);
        }
    }
    Ok(files)
}

impl Serialize for Folder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let files: BTreeMap<&str, String> = self.files.iter().map(|(name, digest)| (name.as_str(), digest.to_string())).collect();
        let digest = Digest::of_value(&files).map_err(S::Error::custom)?;
        serializer.collect_str(&format_args!("blake3:{digest}"))
    }
}

impl JsonSchema for Folder {
    fn schema_name() -> Cow<'static, str> {
        "Folder".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "Path of a folder, relative to the manifest." })
    }
}

impl<'de> Deserialize<'de> for Folder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = String::deserialize(deserializer)?;
        with_folders(|folders| {
            let folders = folders.ok_or_else(|| D::Error::custom("a folder can be named in a manifest only"))?;
            Self::find(&written, folders).map_err(D::Error::custom)
        })
    }
}
