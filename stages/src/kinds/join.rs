//! Joins by id. Takes a dataset; gives its rows by id. A missing or repeated id is an error that names it.

use std::collections::BTreeMap;

use engine::{Dataset, Row, StageError};

/// Rows by id.
pub(crate) struct ById<T> {
    noun: &'static str,
    rows: BTreeMap<String, T>,
}

impl<T: Row> ById<T> {
    /// Reads a dataset.
    ///
    /// # Errors
    /// A row cannot be read, or two rows have the same id.
    pub(crate) fn read(dataset: &Dataset<T>, noun: &'static str, id: impl Fn(&T) -> &String) -> Result<Self, StageError> {
        let mut rows = BTreeMap::new();
        for row in dataset.rows()? {
            let row = row?;
            let id = id(&row).clone();
            if rows.insert(id.clone(), row).is_some() {
                return Err(StageError::failed(format!("two {noun}s have the id `{id}`")).help("give each row an id of its own"));
            }
        }
        Ok(Self { noun, rows })
    }

    /// Returns all rows, in the order of their ids.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &T> {
        self.rows.values()
    }

    /// Returns the row with an id.
    ///
    /// # Errors
    /// No row has the id.
    pub(crate) fn get(&self, id: &str) -> Result<&T, StageError> {
        self.rows.get(id).ok_or_else(|| {
            StageError::failed(format!("there is no {} with the id `{id}`", self.noun))
                .help("wire datasets that come from the same questions")
        })
    }
}
