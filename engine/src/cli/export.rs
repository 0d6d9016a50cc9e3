//! `export`: what a stage gave, as files. Runs nothing.

use std::path::{Path, PathBuf};

use ::cache::{Cache, Output};
use clap::Args;

use super::{
    Common, ManifestArguments,
    exit::{Exit, Failure},
    show::{named, outputs, split},
    talk,
};
use crate::{
    contract::{artifact::copy_tree, registry::Registry},
    store::Store,
};

/// Write what a stage gave to a file or folder
#[derive(Args)]
pub(super) struct Export {
    #[command(flatten)]
    manifest: ManifestArguments,
    /// The stage, or one of its ports; without a port, a folder with an entry a port
    #[arg(value_name = "STAGE[.PORT]")]
    artifact: String,
    /// Where to
    path: PathBuf,
}

impl Export {
    pub(super) fn run(&self, common: &Common, registry: &Registry) -> Result<Exit, Failure> {
        let pipeline = common.pipeline(&self.manifest, registry)?;
        let (name, port) = split(&self.artifact);
        let cache = common.open_cache()?;
        let outputs = outputs(&pipeline, &cache, name, &self.manifest)?;
        let unwritten = |error: std::io::Error| {
            Failure::new(Exit::Environment, format!("`{}` cannot be written: {error}", self.path.display()))
        };
        if let Some(port) = port {
            write(&cache, named(&outputs, name, port)?, &self.path)?;
        } else {
            std::fs::create_dir_all(&self.path).map_err(unwritten)?;
            for (port, output) in &outputs {
                write(&cache, output, &self.path.join(format!("{port}{}", extension(output))))?;
            }
        }
        if !common.quiet {
            talk(&format!("wrote `{}`\n", self.path.display()));
        }
        Ok(Exit::Done)
    }
}

fn extension(output: &Output) -> &'static str {
    match output.artifact.as_str() {
        "metrics" => ".json",
        artifact if artifact.starts_with("dataset<") => ".jsonl",
        _ => "",
    }
}

fn write(cache: &std::sync::Arc<Cache>, output: &Output, path: &Path) -> Result<(), Failure> {
    if output.tree {
        std::fs::create_dir_all(path)
            .map_err(|error| Failure::new(Exit::Environment, format!("`{}` cannot be written: {error}", path.display())))?;
        copy_tree(&Store::new(std::sync::Arc::clone(cache)), &output.digest, path)?;
    } else {
        cache.copy_to(&output.digest, path)?;
    }
    Ok(())
}
