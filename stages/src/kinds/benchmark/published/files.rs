//! Files of a benchmark. Takes a path in a manifest; gives the file or, for a folder, the files in it that have a published file's name.

use std::{borrow::Cow, collections::BTreeMap};

use engine::File;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{
        Error as _,
        value::{Error, StrDeserializer},
    },
};

use crate::kinds::benchmark::ALL;

/// The files that a benchmark reads.
#[derive(Clone, Debug)]
pub(crate) struct Files(Vec<Named>);

/// A file, with its name if the name says what is in it.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub name: Option<String>,
    pub file: File,
}

impl Files {
    /// Returns a single file that no path of the manifest names.
    pub(crate) fn of(file: File) -> Self {
        Self(vec![Named { name: None, file }])
    }

    /// Returns the file, if there is exactly one.
    pub(crate) fn one(&self) -> Option<&File> {
        match self.0.as_slice() {
            [one] => Some(&one.file),
            _ => None,
        }
    }

    /// Returns all files.
    pub(crate) fn all(&self) -> &[Named] {
        &self.0
    }
}

/// Returns the names of the files in the folders of all benchmarks: which benchmark reads a path is not known while the path is read.
fn file_names() -> Vec<String> {
    let mut names = Vec::new();
    for benchmark in ALL {
        names.extend(benchmark.file_names());
    }
    names
}

impl<'de> Deserialize<'de> for Files {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = String::deserialize(deserializer)?;
        let find = |path: &str| File::deserialize(StrDeserializer::<Error>::new(path));
        match find(&written) {
            Ok(file) => {
                let last = written.rsplit(['/', '\\']).next().unwrap_or_default();
                let name = file_names().into_iter().find(|name| name == last);
                Ok(Self(vec![Named { name, file }]))
            }
            Err(error) => {
                // The archive has a folder for each split.
                let paths = |name: &str| {
                    let split = name.trim_end_matches(".csv").rsplit('_').next().unwrap_or_default();
                    [format!("{written}/{name}"), format!("{written}/{split}/{name}")]
                };
                let files: Vec<_> = file_names()
                    .into_iter()
                    .filter_map(|name| {
                        let file = paths(&name).iter().find_map(|path| find(path).ok())?;
                        Some(Named { name: Some(name), file })
                    })
                    .collect();
                if files.is_empty() { Err(D::Error::custom(error)) } else { Ok(Self(files)) }
            }
        }
    }
}

/// Writes names into the key beside the contents, where a name says what is in the file.
impl Serialize for Files {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [Named { name: None, file }] => file.serialize(serializer),
            files => files
                .iter()
                .map(|named| (named.name.as_deref().unwrap_or_default(), &named.file))
                .collect::<BTreeMap<_, _>>()
                .serialize(serializer),
        }
    }
}

impl JsonSchema for Files {
    fn schema_name() -> Cow<'static, str> {
        "Files".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "Path of a file, or of a folder of `mmlu`, relative to the manifest." })
    }
}
