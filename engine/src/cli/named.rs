//! Named stages. Takes words of a command line; gives the manifest and the stage that are meant.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{
    ManifestArguments,
    exit::{Exit, Failure},
};
use crate::{manifest::Set, source::MAX_BYTES};

/// A stage of a manifest. The manifest may be left out if the current folder has only one.
#[derive(Args)]
#[command(allow_missing_positional = true)]
pub(super) struct NamedStage {
    /// Manifest file [default: the only one in this folder]
    #[arg(value_name = "MANIFEST")]
    manifest: Option<PathBuf>,
    /// Name of the stage
    #[arg(value_name = "STAGE", required = true)]
    pub(super) stage: String,
    /// Override one value for this run: `params.answers=PATH`, `stages.dpo.with.beta=0.2`
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<Set>,
}

impl NamedStage {
    /// Returns the manifest, and the values that this call overrides.
    pub(super) fn manifest(&self) -> Result<ManifestArguments, Failure> {
        let manifest = self.manifest.clone().map_or_else(only_manifest, Ok)?;
        Ok(ManifestArguments { manifest, sets: self.sets.clone() })
    }
}

/// Returns the manifest in the current folder, where there is just one.
pub(super) fn only_manifest() -> Result<PathBuf, Failure> {
    let unreadable = |error: std::io::Error| Failure::new(Exit::Environment, format!("this folder cannot be read: {error}"));
    let paths = std::fs::read_dir(".").map_err(unreadable)?.filter_map(|entry| Some(entry.ok()?.path()));
    let named = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml"));
    let mut manifests: Vec<_> = named
        .filter(|path| {
            cache::read_regular(path, MAX_BYTES)
                .is_ok_and(|text| text.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"stages:")))
        })
        .map(|path| path.strip_prefix(".").map(Path::to_path_buf).unwrap_or(path))
        .collect();
    manifests.sort();
    match manifests.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Failure::new(Exit::Usage, "there is no manifest in this folder").help("name one")),
        several => {
            let names: Vec<_> = several.iter().map(|path| path.display().to_string()).collect();
            Err(Failure::new(Exit::Usage, format!("this folder has several manifests: {}", names.join(", ")))
                .help("name one of them"))
        }
    }
}
