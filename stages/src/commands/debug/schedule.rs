//! `debug schedule`: settings of schedules → the learning rate of each step.

use std::path::PathBuf;

use clap::Args;
use engine::CommandError;
use serde::{Deserialize, Serialize};

use crate::{
    commands::files::{read_json, write_json},
    train::{Schedule as Rates, Scheduler, SchedulerArguments},
};

/// Lay schedules of the learning rate out over their steps
#[derive(Args)]
pub(super) struct Schedule {
    /// JSON: `cases`, each with `name`, `lr`, `steps`, `warmup` (steps, or a share below 1) and `args`
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Where `cases` with `values` are written
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Deserialize)]
struct Input {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: Scheduler,
    lr: f64,
    steps: usize,
    #[serde(default)]
    warmup: f64,
    #[serde(default)]
    args: SchedulerArguments,
}

#[derive(Serialize)]
struct Output {
    cases: Vec<Values>,
}

#[derive(Serialize)]
struct Values {
    values: Vec<f64>,
}

impl Schedule {
    pub(super) fn run(&self) -> Result<(), CommandError> {
        let input: Input = read_json(&self.input)?;
        let mut cases = Vec::with_capacity(input.cases.len());
        for (number, Case { name, lr, steps, warmup, args }) in input.cases.into_iter().enumerate() {
            let rates = Rates::new(name, args, lr, warmup.into(), steps)
                .map_err(|error| CommandError::usage(format!("`{}`: case {number}: {error}", self.input.display())))?;
            cases.push(Values { values: (0..steps).map(|step| rates.rate(step)).collect() });
        }
        write_json(&self.out, &Output { cases })
    }
}
