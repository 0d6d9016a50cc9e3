//! The command `show`. Takes a stage, or one of its ports; gives its output on standard output. Runs nothing.

use std::{fmt::Write as _, io::BufRead as _, str::FromStr};

use ::cache::{Cache, Output};
use clap::Args;
use serde_json::{Value, json};

use super::{
    Common, Format, ManifestArguments, bytes, data,
    exit::{Exit, Failure},
    select::position,
};
use crate::{
    contract::{error::StageError, registry::Registry},
    plan::{self, Decision, Request},
    resolve::Pipeline,
    store::Store,
};

/// Print the outputs of a stage
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Show {
    #[command(flatten)]
    manifest: ManifestArguments,
    /// Stage, or one of its ports
    #[arg(value_name = "STAGE[.PORT]")]
    artifact: String,
    /// Print at most this many rows
    #[arg(long, value_name = "ROWS")]
    limit: Option<usize>,
    /// Print only rows that meet this condition: `policy=Complex_Query`, `verdicts.medium!=correct`, `question~sqrt`
    #[arg(long = "where", value_name = "CONDITION")]
    conditions: Vec<Condition>,
    /// Print this many rows, spread over all of them; the same ones each time
    #[arg(long, value_name = "ROWS")]
    sample: Option<usize>,
    /// Print only the rows with this id
    #[arg(long, value_name = "ID")]
    id: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost show quickstart.yaml labels --limit 3
  fingerpost show quickstart.yaml labels --where policy=Complex_Query --sample 10
  fingerpost show quickstart.yaml evaluation.metrics

`fingerpost export MANIFEST STAGE PATH` writes them to a file or folder.";

impl Show {
    pub(super) fn run(&self, common: &Common, registry: &Registry) -> Result<Exit, Failure> {
        let pipeline = common.pipeline(&self.manifest, registry)?;
        let (name, port) = split(&self.artifact);
        let cache = common.open_cache()?;
        let outputs = outputs(&pipeline, &cache, name, &self.manifest)?;
        let output = match (port, outputs.as_slice()) {
            (Some(port), _) => named(&outputs, name, port)?,
            (None, [(_, only)]) => only,
            (None, _) => {
                let ports: Vec<_> =
                    outputs.iter().map(|(port, output)| format!("{name}.{port}, a {}", output.artifact)).collect();
                return Err(Failure::new(Exit::Usage, format!("`{name}` has several outputs: {}", ports.join("; ")))
                    .help("name one of them"));
            }
        };
        let store = Store::new(cache);
        if output.tree {
            return listing(common, &store, output);
        }
        if output.artifact.starts_with("dataset<") {
            return self.rows(&store, output);
        }
        let content = store.cache().read(&output.digest)?;
        match serde_json::from_slice::<Value>(&content) {
            Ok(value) if output.artifact == "metrics" => data(&format!("{value:#}\n"))?,
            _ => bytes(&content)?,
        }
        Ok(Exit::Done)
    }

    fn rows(&self, store: &Store, output: &Output) -> Result<Exit, Failure> {
        let mut kept = Vec::new();
        let mut shown = 0;
        for line in store.buffered(&output.digest)?.lines() {
            let line = line.map_err(StageError::from)?;
            if self.limit.is_some_and(|limit| shown >= limit) && self.sample.is_none() {
                break;
            }
            if self.wanted(&line)? {
                shown += 1;
                match self.sample {
                    None => data(&format!("{line}\n"))?,
                    Some(_) => kept.push(line),
                }
            }
        }
        if let Some(sample) = self.sample {
            let sample = self.limit.map_or(sample, |limit| limit.min(sample));
            // Ordered by digest, so that one more row moves at most one of the others out.
            let mut order: Vec<_> = (0..kept.len()).collect();
            order.sort_by_key(|&row| ::cache::Digest::of(kept[row].as_bytes()));
            order.truncate(sample);
            order.sort_unstable();
            for row in order {
                data(&format!("{}\n", kept[row]))?;
            }
        }
        Ok(Exit::Done)
    }

    fn wanted(&self, line: &str) -> Result<bool, Failure> {
        if self.conditions.is_empty() && self.id.is_none() {
            return Ok(true);
        }
        let row: Value = serde_json::from_str(line).map_err(|error| Failure::new(Exit::Environment, error))?;
        let id = self.id.as_ref().is_none_or(|id| row.get("id").and_then(Value::as_str) == Some(id));
        Ok(id && self.conditions.iter().all(|condition| condition.holds(&row)))
    }
}

/// Splits `stage.port`.
pub(super) fn split(artifact: &str) -> (&str, Option<&str>) {
    artifact.split_once('.').map_or((artifact, None), |(stage, port)| (stage, Some(port)))
}

/// Returns the outputs of a stage's cached result, by port. Fails where the stage has not run with the manifest as it is.
pub(super) fn outputs(
    pipeline: &Pipeline,
    cache: &Cache,
    name: &str,
    arguments: &ManifestArguments,
) -> Result<Vec<(String, Output)>, Failure> {
    let stage = position(pipeline, name)?;
    let request = Request { wanted: Some(pipeline.with_producers([stage])), ..Request::default() };
    let plan = plan::plan(pipeline, cache, &request)?;
    let planned = plan.stages.into_iter().find(|planned| planned.stage == stage);
    if let Some(Decision::Hit { result, .. }) = planned.map(|planned| planned.decision) {
        Ok(result.outputs.into_iter().collect())
    } else {
        let mut command = format!("fingerpost run {} {name}", arguments.manifest.display());
        for set in &arguments.sets {
            let _written = write!(command, " --set {set}");
        }
        Err(Failure::new(Exit::Stale, format!("`{name}` has no cached result for this manifest"))
            .help(format!("run it: `{command}`")))
    }
}

/// Finds a port among a result's outputs.
pub(super) fn named<'a>(outputs: &'a [(String, Output)], stage: &str, port: &str) -> Result<&'a Output, Failure> {
    outputs.iter().find(|(name, _)| name == port).map(|(_, output)| output).ok_or_else(|| {
        let names: Vec<_> = outputs.iter().map(|(name, _)| format!("{stage}.{name}")).collect();
        Failure::new(Exit::Usage, format!("`{stage}` has no output `{port}`"))
            .help(format!("its outputs are {}", names.join(", ")))
    })
}

fn listing(common: &Common, store: &Store, output: &Output) -> Result<Exit, Failure> {
    let tree = store.cache().tree(&output.digest)?;
    match common.format {
        Format::Json => data(&format!("{:#}\n", json!({ "version": 1, "files": tree.files })))?,
        Format::Text | Format::Github => {
            for (name, entry) in &tree.files {
                data(&format!("{:>12}  {}  {name}\n", entry.bytes, entry.digest.short()))?;
            }
        }
    }
    Ok(Exit::Done)
}

/// A condition on a row: a field's path, how to compare, and a value.
#[derive(Clone, Debug)]
struct Condition {
    field: String,
    comparison: Comparison,
    value: String,
}

#[derive(Clone, Copy, Debug)]
enum Comparison {
    Equal,
    Unequal,
    Contains,
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let signs = [("!=", Comparison::Unequal), ("=", Comparison::Equal), ("~", Comparison::Contains)];
        let first =
            signs.iter().filter_map(|(sign, comparison)| Some((text.find(sign)?, *sign, *comparison))).min_by_key(|(at, ..)| *at);
        let (at, sign, comparison) = first.ok_or("write FIELD=VALUE, FIELD!=VALUE or FIELD~PART")?;
        Ok(Self { field: text[..at].to_owned(), comparison, value: text[at + sign.len()..].to_owned() })
    }
}

impl Condition {
    fn holds(&self, row: &Value) -> bool {
        let value = self.field.split('.').try_fold(row, |value, name| value.get(name));
        let text = match value {
            None => return matches!(self.comparison, Comparison::Unequal),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        match self.comparison {
            Comparison::Equal => text == self.value,
            Comparison::Unequal => text != self.value,
            Comparison::Contains => text.contains(&self.value),
        }
    }
}
