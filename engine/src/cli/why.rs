//! The command `why`. Takes a stage; gives what changed since its last result.

use clap::Args;

use super::{
    Common, Format, data,
    exit::{Exit, Failure},
    named::NamedStage,
    plan::document,
    select::position,
};
use crate::{
    contract::registry::Registry,
    plan::{self, Decision, Request},
    resolve::{Pipeline, Wire},
};

/// Explain why a stage would run
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Why {
    #[command(flatten)]
    named: NamedStage,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost why quickstart.yaml dpo
  fingerpost why dpo                                  the manifest in this folder
  fingerpost why dpo --set stages.dpo.with.beta=0.2   what a change would do

`fingerpost plan MANIFEST` shows all stages.";

impl Why {
    pub(super) fn run(&self, common: &Common, registry: &Registry) -> Result<Exit, Failure> {
        let pipeline = common.pipeline(&self.named.manifest()?, registry)?;
        let stage = position(&pipeline, &self.named.stage)?;
        let request = Request { wanted: Some(pipeline.with_producers([stage])), ..Request::default() };
        let cache = common.open_cache()?;
        let plan = plan::plan(&pipeline, &cache, &request)?;
        match common.format {
            Format::Json => data(&format!("{:#}\n", document(&pipeline, &plan)))?,
            Format::Text | Format::Github => data(&text(&pipeline, &plan, stage))?,
        }
        Ok(Exit::Done)
    }
}

fn text(pipeline: &Pipeline, plan: &plan::Plan, stage: usize) -> String {
    let name = &pipeline.stages[stage].name;
    let Some(planned) = plan.stages.iter().find(|planned| planned.stage == stage) else { return String::new() };
    match &planned.decision {
        Decision::Hit { result, .. } => format!("{name} does not run: its result is cached, from run {}\n", result.run),
        Decision::Run { why, preimage, .. } => {
            let mut text = format!("{name} runs because\n");
            for reason in why {
                text += &format!("  ~ {reason}\n");
            }
            let changed = |port: &String| {
                why.iter().any(|reason| matches!(reason, plan::Reason::Input { port: other, .. } if other == port))
            };
            for (port, digest) in preimage.inputs.iter().filter(|(port, _)| !changed(port)) {
                let from = match &pipeline.stages[stage].wires[port] {
                    Wire::Stage { stage, .. } => &pipeline.stages[*stage].name,
                    Wire::File { file, .. } => file.name(),
                };
                text += &format!("  = in.{port}: {from}, {}\n", digest.short());
            }
            text
        }
        Decision::Later { on } => {
            let mut text = format!("whether {name} runs depends on {}:\n", on.join(", "));
            for above in &plan.stages {
                if let Decision::Run { why, .. } = &above.decision {
                    let reasons: Vec<_> = why.iter().map(ToString::to_string).collect();
                    text += &format!("  {} runs: {}\n", pipeline.stages[above.stage].name, reasons.join("; "));
                }
            }
            text
        }
    }
}
