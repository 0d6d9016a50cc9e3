//! Environment variables. Takes the manifest's folder; gives the variables of `.env` in it. Those of the process itself win, and none of
//! either is ever printed.
#![expect(clippy::disallowed_methods, reason = "this is where variables are read")]

use std::{collections::BTreeMap, path::Path};

/// The variables of `.env`.
#[derive(Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Reads `.env` in this folder, where there is one.
    ///
    /// # Errors
    /// A line is not `NAME=value`, or the file cannot be read. The message repeats no value.
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

    /// Returns the value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().or_else(|| self.0.get(name).cloned())
    }
}
