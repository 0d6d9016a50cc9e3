//! The command `check`. Takes a manifest; gives every mistake in it, underlined. Runs nothing.

use clap::Args;

use super::{
    Common, Format, ManifestArguments, data,
    exit::{Exit, Failure},
};
use crate::{
    contract::{preflight::Lack, registry::Registry},
    diagnostic::Mistake,
    environment::Environment,
    resolve::Pipeline,
};

/// Look for mistakes in a manifest
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Check {
    #[command(flatten)]
    manifest: ManifestArguments,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost check simpleqa.yaml
  fingerpost check simpleqa.yaml --format github      annotations of a workflow

`fingerpost kinds` lists the kinds of stage and their params.";

impl Check {
    pub(super) fn run(&self, common: &Common, registry: &Registry) -> Result<Exit, Failure> {
        let pipeline = common.pipeline(&self.manifest, registry)?;
        super::refuse(devices(&pipeline))?;
        match common.format {
            Format::Json => {
                data(&format!("{}\n", serde_json::json!({ "version": 1, "mistakes": [], "stages": pipeline.stages.len() })))?;
            }
            Format::Text | Format::Github if common.quiet => {}
            Format::Text | Format::Github => {
                data(&format!("`{}`: no mistakes, {} stages\n", pipeline.manifest.source.file.name, pipeline.stages.len()))?;
            }
        }
        Ok(Exit::Done)
    }
}

/// Returns the mistakes of stages that ask for devices that are not there. A manifest is right without the keys for its calls.
fn devices(pipeline: &Pipeline) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for stage in 0..pipeline.stages.len() {
        for lack in pipeline.preflight(stage, &Environment::default()) {
            if let Lack::Device(mistake) = lack {
                mistakes.push(pipeline.not_here(stage, mistake));
            }
        }
    }
    mistakes
}
