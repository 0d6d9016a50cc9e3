//! What a stage makes: the types of its result, of its outputs, and of trees of files among them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// One output of a stage: a blob, or a tree of blobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Digest of the blob; of the [`Tree`]'s JSON where `tree` is true.
    pub digest: Digest,
    /// Type of its content, such as `dataset<label>` or `checkpoint`.
    pub artifact: String,
    /// Number of rows; `None` where the content has no rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Size in bytes, uncompressed; of all files together for a tree.
    pub bytes: u64,
    /// Whether the blob is a [`Tree`], whose files are kept with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tree: bool,
}

/// The result of a stage, as it is stored under the stage's key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageResult {
    /// Outputs by port.
    pub outputs: BTreeMap<String, Output>,
    /// Time that the stage took, in seconds.
    pub seconds: f64,
    /// Number of calls made.
    pub calls: u64,
    /// Name of the run that made it.
    pub run: String,
}

/// How far an unfinished stage got: its latest checkpoint, as of a training that was interrupted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partial {
    /// Steps done.
    pub step: u64,
    /// The checkpoint to continue from.
    pub output: Output,
}

/// A folder of files as one blob: it maps the names of files, with `/` between folders, to their sizes and digests.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tree {
    /// Files by name, relative to the folder.
    pub files: BTreeMap<String, TreeEntry>,
}

/// One file of a [`Tree`]. Its fields are in the order of their names, which is that of [`Tree::encode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeEntry {
    /// Size of the file, in bytes.
    pub bytes: u64,
    /// Digest of the file's bytes.
    pub digest: Digest,
}

impl Tree {
    /// Returns the size of all files together, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.bytes).sum()
    }

    /// Encodes the tree in its only form: JSON without spaces, keys in order. Equal trees give equal bytes, and so have one digest.
    ///
    /// # Errors
    /// [`TreeError::Name`] where a file's name would lead out of the folder that the tree is written to.
    pub fn encode(&self) -> Result<Vec<u8>, TreeError> {
        self.check_names()?;
        Ok(serde_json::to_vec(self).expect("a map with text keys is JSON"))
    }

    /// Decodes a tree, whose keys may be in any order.
    ///
    /// # Errors
    /// [`TreeError::Form`] where the bytes are not a tree; [`TreeError::Name`] where a file's name would lead out of the folder that
    /// the tree is written to.
    pub fn decode(bytes: &[u8]) -> Result<Self, TreeError> {
        let tree: Self = serde_json::from_slice(bytes).map_err(|error| TreeError::Form(error.to_string()))?;
        tree.check_names()?;
        Ok(tree)
    }

    fn check_names(&self) -> Result<(), TreeError> {
        match self.files.keys().find(|name| !stays_inside(name)) {
            Some(name) => Err(TreeError::Name(name.clone())),
            None => Ok(()),
        }
    }
}

/// Why bytes are not a [`Tree`], or a tree cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The bytes are not the JSON of a tree.
    #[error("{0}")]
    Form(String),
    /// A file's name would lead out of the folder that the tree is written to.
    #[error(
        "it lists a file `{}`, which could be written outside its folder: a name consists of parts joined by `/`, none of them \
         empty, `.` or `..`, and has no `\\`, `:` or NUL",
        .0.escape_debug()
    )]
    Name(String),
}

// On Windows `\\` separates folders, and `:` follows a drive.
fn stays_inside(name: &str) -> bool {
    !name.contains(['\\', ':', '\0']) && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(names: &[&str]) -> Tree {
        let entry = TreeEntry { bytes: 1, digest: Digest::of(b"x") };
        Tree { files: names.iter().map(|name| ((*name).to_owned(), entry)).collect() }
    }

    #[test]
    fn a_tree_has_one_form() {
        let digest = Digest::of(b"x");
        let bytes = format!(
            "{{\"files\":{{\"a/b.json\":{{\"bytes\":1,\"digest\":\"{digest}\"}},\"weights\":{{\"bytes\":1,\"digest\":\"{digest}\"}}}}}}"
        );
        let tree = tree(&["weights", "a/b.json"]);
        assert_eq!(
            String::from_utf8(tree.encode().unwrap()).unwrap(),
            bytes,
            "the form of trees has changed, and with it the digest of every checkpoint: put it back"
        );
        assert_eq!(Tree::decode(bytes.as_bytes()).unwrap(), tree);
        // Trees were once written with their keys in another order, and are still read.
        let old = bytes.replace(&format!("\"bytes\":1,\"digest\":\"{digest}\""), &format!("\"digest\":\"{digest}\",\"bytes\":1"));
        assert_ne!(old, bytes);
        assert_eq!(Tree::decode(old.as_bytes()).unwrap(), tree);
    }

    #[test]
    fn a_tree_never_leads_out_of_its_folder() {
        for name in ["weights.safetensors", "a/b.json", "..hidden", "a b", "é"] {
            assert_eq!(Tree::decode(&tree(&[name]).encode().unwrap()).unwrap(), tree(&[name]), "{name}");
        }
        for name in ["../x", "..", "/etc/passwd", "a/../../x", "a//b", "a/", "./a", "", "c:\\x", "c:x", "a\\..\\x", "a\0"] {
            let refusal = TreeError::Name(name.to_owned());
            assert_eq!(tree(&["fine", name]).encode(), Err(refusal.clone()), "{name}");
            let json = serde_json::to_vec(&tree(&["fine", name])).unwrap();
            assert_eq!(Tree::decode(&json), Err(refusal), "{name}");
        }
        assert!(matches!(Tree::decode(b"{}"), Err(TreeError::Form(_))));
    }
}
