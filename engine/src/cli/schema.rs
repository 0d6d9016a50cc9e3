//! `schema`: JSON Schema of manifests for editors, or of one type of rows.

use clap::Args;

use super::{
    data,
    exit::{Exit, Failure},
};
use crate::{contract::registry::Registry, diagnostic::did_you_mean, schema};

/// Print the JSON Schema of manifests, or of one type of rows
#[derive(Args)]
pub(super) struct Schema {
    /// A type of rows, such as `question` [default: manifests]
    row: Option<String>,
}

impl Schema {
    pub(super) fn run(&self, registry: &Registry) -> Result<Exit, Failure> {
        let schema = match &self.row {
            None => schema::manifest(registry),
            Some(name) => {
                let names = || registry.rows().iter().map(|row| row.name);
                let row = registry.rows().iter().find(|row| row.name == name).ok_or_else(|| {
                    let help = did_you_mean(name, names())
                        .unwrap_or_else(|| format!("the types of rows are {}", names().collect::<Vec<_>>().join(", ")));
                    Failure::new(Exit::Usage, format!("there is no type of rows `{name}`")).help(help)
                })?;
                (row.schema)()
            }
        };
        data(&format!("{schema:#}\n"))?;
        Ok(Exit::Done)
    }
}
