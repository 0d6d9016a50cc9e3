//! Selected stages. Takes names of stages on the command line; gives their positions in the pipeline.

use std::collections::BTreeSet;

use clap::Args;

use super::exit::{Exit, Failure};
use crate::{diagnostic::did_you_mean, plan::Request, resolve::Pipeline};

/// Which stages a run is about.
#[derive(Args)]
pub(super) struct Selection {
    /// Stages to run, with all that they depend on [default: all]
    #[arg(value_name = "STAGE")]
    stages: Vec<String>,
    /// Run this stage and all that depend on it again, with cached replies
    #[arg(long, value_name = "STAGE")]
    from: Vec<String>,
    /// Run this stage again, with cached replies
    #[arg(long, value_name = "STAGE")]
    force: Vec<String>,
    /// Run this stage again and buy its replies again
    #[arg(long, value_name = "STAGE")]
    rebuy: Vec<String>,
    /// Run the stages that work row by row again, with cached replies, and ask again for the rows whose call ended in an error
    #[arg(long)]
    retry_errors: bool,
}

impl Selection {
    pub(super) fn request(&self, pipeline: &Pipeline) -> Result<Request, Failure> {
        let wanted = positions(pipeline, &self.stages)?;
        let rebought = positions(pipeline, &self.rebuy)?;
        let mut forced = positions(pipeline, &self.force)?;
        forced.extend(&rebought);
        if self.retry_errors {
            let row_by_row = |stage: &usize| pipeline.stages[*stage].kind.row_by_row();
            forced.extend((0..pipeline.stages.len()).filter(row_by_row));
        }
        forced.extend(pipeline.with_consumers(positions(pipeline, &self.from)?));
        let wanted = (!wanted.is_empty()).then(|| pipeline.with_producers(wanted));
        Ok(Request { wanted, forced, rebought, retries_errors: self.retry_errors })
    }
}

fn positions(pipeline: &Pipeline, names: &[String]) -> Result<BTreeSet<usize>, Failure> {
    names.iter().map(|name| position(pipeline, name)).collect()
}

/// Finds a stage by name, or fails with the names that there are.
pub(super) fn position(pipeline: &Pipeline, name: &str) -> Result<usize, Failure> {
    pipeline.position(name).ok_or_else(|| {
        let names = || pipeline.stages.iter().map(|stage| stage.name.as_str());
        Failure::new(Exit::Usage, format!("there is no stage `{name}` in `{}`", pipeline.manifest.source.file.name)).help(
            did_you_mean(name, names()).unwrap_or_else(|| format!("its stages are {}", names().collect::<Vec<_>>().join(", "))),
        )
    })
}
