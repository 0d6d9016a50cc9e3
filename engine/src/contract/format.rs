//! Formats of other programs. Takes rows by their types; gives files that those programs read.

use std::collections::BTreeMap;

use serde_json::Value;

/// A format that `export --as` writes.
#[derive(Clone, Copy)]
pub struct ExportFormat {
    /// What is typed after `--as`.
    pub name: &'static str,
    /// The types of rows without which there is nothing to write.
    pub needs: &'static [&'static str],
    /// Writes the rows.
    ///
    /// # Errors
    /// A sentence, if the rows do not belong together.
    pub write: fn(rows: &RowsByType) -> Result<Vec<ExportedFile>, String>,
}

/// Rows by the names of their types: `question`, `answer`.
pub type RowsByType = BTreeMap<String, Vec<Value>>;

/// A file of an export.
pub struct ExportedFile {
    /// Its name in the folder.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}
