//! The command `plan`. Takes a manifest; gives what is cached, what would run and why. Runs nothing.

use clap::Args;
use serde_json::{Value, json};

use super::{
    Common, Format, ManifestArguments, data,
    exit::{Exit, Failure},
    github,
    select::Selection,
    style::{counted, duration},
};
use crate::{
    budget::{Limit, dollars},
    contract::registry::Registry,
    plan::{self, Decision, Reason},
    resolve::Pipeline,
};

/// Show what is cached, what would run and why
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Plan {
    #[command(flatten)]
    manifest: ManifestArguments,
    #[command(flatten)]
    selection: Selection,
    /// Exit with 0 if nothing would run, and with 3 if something would
    #[arg(long)]
    exit_code: bool,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost plan pipelines/quickstart.yaml
  fingerpost plan simpleqa.yaml --exit-code           for CI: 3 if something would run

= cached   + never run   ~ changed   ! forced   ? depends on stages that run first

`fingerpost why MANIFEST STAGE` explains one stage.";

impl Plan {
    pub(super) fn run(&self, common: &Common, registry: &Registry) -> Result<Exit, Failure> {
        let pipeline = common.pipeline(&self.manifest, registry)?;
        let cache = common.open_cache()?;
        let request = self.selection.request(&pipeline)?;
        let mut plan = plan::plan(&pipeline, &cache, &request)?;
        let shared = super::shared(registry, &pipeline, cache, Vec::new(), Limit::Unset, None, None)?;
        let lacks = plan::preflight(&plan, &pipeline, &shared, &request)?;
        super::refuse(lacks.devices)?;
        plan::forecast(&mut plan, &pipeline, &shared, &request, lacks.variables)?;
        github::append(&github::block(&text(&pipeline, &plan)));
        match common.format {
            Format::Json => data(&format!("{:#}\n", document(&pipeline, &plan)))?,
            Format::Text | Format::Github => data(&text(&pipeline, &plan))?,
        }
        Ok(if self.exit_code && !plan.is_fresh() { Exit::Stale } else { Exit::Done })
    }
}

/// Returns the plan for people.
pub(super) fn text(pipeline: &Pipeline, plan: &plan::Plan) -> String {
    let names = plan.stages.iter().map(|planned| pipeline.stages[planned.stage].name.len());
    let kinds = plan.stages.iter().map(|planned| pipeline.stages[planned.stage].kind.name().len());
    let (name_width, kind_width) = (names.max().unwrap_or(0), kinds.max().unwrap_or(0));
    let mut text = String::new();
    let (mut cached, mut run, mut later) = (0_u64, 0_u64, 0_u64);
    let (mut calls, mut worst, mut unpriced) = (0, 0, 0);
    for planned in &plan.stages {
        let stage = &pipeline.stages[planned.stage];
        let (symbol, words, details) = match &planned.decision {
            Decision::Hit { result, .. } => {
                cached += 1;
                let rows = result.outputs.values().filter_map(|output| output.rows).max();
                let rows = rows.map_or_else(String::new, |rows| format!("   {}", counted(rows, "row")));
                ("=", format!("cached{rows}"), Vec::new())
            }
            Decision::Run { why, .. } => {
                run += 1;
                let symbol = match why.as_slice() {
                    [Reason::Forced] => "!",
                    [Reason::NeverRun] => "+",
                    _ => "~",
                };
                match why.as_slice() {
                    [only @ (Reason::NeverRun | Reason::Forced | Reason::Evicted)] => {
                        (symbol, format!("to run: {only}"), Vec::new())
                    }
                    reasons => (symbol, "to run".to_owned(), reasons.iter().map(ToString::to_string).collect()),
                }
            }
            Decision::Later { on } => {
                later += 1;
                ("?", format!("depends on {}", on.join(", ")), Vec::new())
            }
        };
        let mut details = details;
        if let Some(forecast) = &planned.forecast {
            details.extend([forecast.to_string()].into_iter().filter(|text| !text.is_empty()));
            details.extend(forecast.notes.iter().cloned());
            calls += forecast.calls;
            worst += forecast.worst_nano_dollars;
            unpriced += forecast.unpriced;
        }
        text += &format!("  {symbol} {:name_width$}   {:kind_width$}   {words}\n", stage.name, stage.kind.name());
        for detail in details {
            text += &format!("    {:name_width$}     {detail}\n", "");
        }
    }
    text += &format!("\n  {cached} cached, {run} to run, {later} decided later");
    if calls > 0 {
        let least = if later > 0 { "at least " } else { "" };
        text += &format!("; {least}{}", counted(calls, "call"));
    }
    if worst > 0 {
        text += &format!(" for at most {}", dollars(worst));
    }
    if unpriced > 0 {
        text += &format!(", {unpriced} of unknown price");
    }
    text.push('\n');
    text
}

/// Returns the plan for programs.
pub(super) fn document(pipeline: &Pipeline, plan: &plan::Plan) -> Value {
    let stages: Vec<_> = plan
        .stages
        .iter()
        .map(|planned| {
            let stage = &pipeline.stages[planned.stage];
            let mut entry = match &planned.decision {
                Decision::Hit { key, result } => json!({ "decision": "hit", "key": key.to_string(), "outputs": result.outputs }),
                Decision::Run { key, why, preimage } => {
                    json!({ "decision": "run", "key": key.to_string(), "why": why, "preimage": preimage })
                }
                Decision::Later { on } => json!({ "decision": "later", "on": on }),
            };
            entry["stage"] = json!(stage.name);
            entry["kind"] = json!(stage.kind.name());
            if let Some(forecast) = &planned.forecast {
                entry["forecast"] = json!(forecast);
            }
            entry
        })
        .collect();
    json!({ "version": 1, "manifest": pipeline.manifest.name, "fresh": plan.is_fresh(), "stages": stages })
}

/// Returns the time that hits save, for the last line of a run.
pub(super) fn saved(seconds: f64) -> String {
    if seconds < 0.1 { String::new() } else { format!(" (saved {})", duration(seconds)) }
}
