//! The manifest's folder → the variables of `.env` beside it. Those of the process itself win, and none of either is ever printed.
#![expect(clippy::disallowed_methods, reason = "this is where variables are read")]

use std::{collections::BTreeMap, path::Path};

/// What stands in `.env`.
#[derive(Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Reads `.env` in this folder, where there is one.
    ///
    /// # Errors
    /// A line that is no `NAME=value`; a file that cannot be read. The values are not repeated.
    pub(crate) fn beside(folder: &Path) -> Result<Self, String> {
        let path = folder.join(".env");
        if !path.exists() {
            return Ok(Self::default());
        }
        let wrong = |what: String| format!("`{}`: {what}", path.display());
        let file = cache::open_regular(&path).map_err(|error| wrong(error.to_string()))?;
        let lines = dotenvy::from_read_iter(file);
        let mut variables = BTreeMap::new();
        for (index, variable) in lines.enumerate() {
            let (name, value) = variable.map_err(|error| match error {
                dotenvy::Error::LineParse(..) => wrong(format!("variable {} is not written as NAME=value", index + 1)),
                other => wrong(other.to_string()),
            })?;
            variables.insert(name, value);
        }
        Ok(Self(variables))
    }

    /// The value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().or_else(|| self.0.get(name).cloned())
    }
}
