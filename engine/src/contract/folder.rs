//! Folders that a manifest names. Takes a path as written; gives a [`Folder`]: files by name, each identified by its digest.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{
    context::Context,
    error::StageError,
    file::{File, Folders, lent},
};

/// A folder that a manifest names: the files directly in it, without hidden ones. In a key it counts by their names and contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    written: String,
    path: PathBuf,
    files: BTreeMap<String, File>,
}

impl Folder {
    /// Finds and digests the files of the folder that a manifest calls `written`.
    ///
    /// # Errors
    /// A sentence for people, where it cannot be read or has no files.
    fn find(written: &str, folders: &Folders) -> Result<Self, String> {
        let path = folders.path(written);
        let entries = std::fs::read_dir(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => format!("there is no folder `{written}` (looked for `{}`)", path.display()),
            std::io::ErrorKind::NotADirectory => format!("`{written}` is a file, not a folder"),
            _ => format!("`{written}` cannot be read: {error}"),
        })?;
        let mut files = BTreeMap::new();
        for entry in entries {
            let entry = entry.map_err(|error| format!("`{written}` cannot be read: {error}"))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // A link to a file counts as a file, because hubs link to the files of a checkpoint. Pipes and devices are refused by `File`.
            if !name.starts_with('.') && entry.path().metadata().is_ok_and(|metadata| !metadata.is_dir()) {
                let file = File::found(format!("{written}/{name}"), entry.path())?;
                files.insert(name, file);
            }
        }
        if files.is_empty() {
            return Err(format!("there is no file in the folder `{written}`"));
        }
        Ok(Self { written: written.to_owned(), path, files })
    }

    /// Returns the path as it was written, for messages.
    pub fn name(&self) -> &str {
        &self.written
    }

    /// Returns where the folder is, for checks of a manifest. A stage reads what it computes with by [`Folder::copy_to`].
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the files by name.
    pub fn files(&self) -> &BTreeMap<String, File> {
        &self.files
    }

    /// Writes the content whose digests are in the key into an existing folder, whatever happened to the path since.
    ///
    /// # Errors
    /// A file is neither in the cache nor at its path, or the folder cannot be written.
    pub fn copy_to(&self, ctx: &Context, folder: &Path) -> Result<(), StageError> {
        for (name, file) in &self.files {
            file.copy_to(ctx, &folder.join(name))?;
        }
        Ok(())
    }
}

/// Writes the files' digests by name.
impl Serialize for Folder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.files.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Folder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = String::deserialize(deserializer)?;
        lent(|folders| match folders {
            Some(folders) => Self::find(&written, folders).map_err(D::Error::custom),
            None => Err(D::Error::custom("a folder can be named in a manifest only")),
        })
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
