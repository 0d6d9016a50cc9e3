//! What a stage leaves behind: its result, its outputs, and trees of files among them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// One output of a stage: a blob, or a tree of blobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Digest of the blob; of the [`Tree`]'s JSON where `tree` is true.
    pub digest: Digest,
    /// Type of what is in it, as `dataset<label>` or `checkpoint`.
    pub artifact: String,
    /// Number of rows, where it has rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Size in bytes, uncompressed; of all files together for a tree.
    pub bytes: u64,
    /// Whether the blob is a [`Tree`], whose files are kept with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tree: bool,
}

/// What is remembered under a stage's key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageResult {
    /// Outputs by port.
    pub outputs: BTreeMap<String, Output>,
    /// How long the stage took, in seconds.
    pub seconds: f64,
    /// How many calls it made.
    pub calls: u64,
    /// Name of the run that made it.
    pub run: String,
}

/// How far a stage got before it ended: a checkpoint in the middle of training.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partial {
    /// Number of steps done.
    pub step: u64,
    /// What can be gone on with.
    pub output: Output,
}

/// A folder of files as one blob: names, `/` between folders, to digests.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tree {
    /// Files by name, relative to the folder.
    pub files: BTreeMap<String, TreeEntry>,
}

/// One file of a [`Tree`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeEntry {
    /// Digest of the file's bytes.
    pub digest: Digest,
    /// Size in bytes.
    pub bytes: u64,
}

impl Tree {
    /// Returns the size of all files together, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.bytes).sum()
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a map with text keys is JSON")
    }

    /// Reads a tree, and refuses names that would lead out of the folder that it is written to.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, String> {
        let tree: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        match tree.files.keys().find(|name| !stays_inside(name)) {
            Some(name) => Err(format!("`{name}` is no name of a file inside a folder")),
            None => Ok(tree),
        }
    }
}

fn stays_inside(name: &str) -> bool {
    !name.contains(['\\', ':', '\0']) && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_reads_back_and_never_leads_out_of_its_folder() {
        let entry = TreeEntry { digest: Digest::of(b"x"), bytes: 1 };
        for (name, fine) in [
            ("weights.safetensors", true),
            ("a/b.json", true),
            ("../x", false),
            ("/etc/passwd", false),
            ("a/../../x", false),
            ("c:\\x", false),
            ("", false),
        ] {
            let tree = Tree { files: BTreeMap::from([(name.to_owned(), entry)]) };
            assert_eq!(Tree::from_json(&tree.to_json()).is_ok(), fine, "{name}");
        }
    }
}
