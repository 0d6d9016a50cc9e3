//! A path written in a manifest → a [`Folder`]: files by name, each known by the digest of its content.

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

/// A folder that a manifest names: the files right in it, hidden ones left out. In a key it counts by their names and contents.
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
    /// A sentence for people when it cannot be read, or holds nothing.
    fn find(written: &str, folders: &Folders) -> Result<Self, String> {
        let path = folders.path(written);
        let entries = std::fs::read_dir(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => format!("there is no folder `{written}` (looked for `{}`)", path.display()),
            std::io::ErrorKind::NotADirectory => format!("`{written}` is a file, and a folder is needed"),
            _ => format!("`{written}` cannot be read: {error}"),
        })?;
        let mut files = BTreeMap::new();
        for entry in entries {
            let entry = entry.map_err(|error| format!("`{written}` cannot be read: {error}"))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // A link to a file is a file: hubs keep the files of a checkpoint elsewhere. Pipes and devices are refused as files are.
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

    /// The path as it was written, for messages.
    pub fn name(&self) -> &str {
        &self.written
    }

    /// Where it lies, for a look while a manifest is checked. What a stage computes with is read by [`Folder::copy_to`].
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The files by name.
    pub fn files(&self) -> &BTreeMap<String, File> {
        &self.files
    }

    /// Writes the content that the key speaks of into an existing folder, whatever happened to the path since.
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

/// The files' digests by name.
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
