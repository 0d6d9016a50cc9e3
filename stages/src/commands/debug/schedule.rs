//! `debug schedule`. Takes settings of schedules; gives the learning rate at every step.

use clap::Args;
use engine::CommandError;
use serde::{Deserialize, Serialize};

use super::arguments::Files;
use crate::{
    commands::files::{read_json, write_json},
    train::{Schedule as Rates, Scheduler, SchedulerArguments},
};

/// Print the learning rate at every step
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Schedule {
    #[command(flatten)]
    files: Files,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost debug schedule --input schedules.json --out rates.json

Input (JSON): `cases`, each with `name`, `lr`, `steps`, `warmup` (steps, or a share below 1) and `args`, as in the Trainer of transformers.
Output (JSON): `cases` with `values`, the learning rate of each step.
`fingerpost kinds sft` describes the settings of schedules.";

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
        let input: Input = read_json(&self.files.input)?;
        let mut cases = Vec::with_capacity(input.cases.len());
        for (number, Case { name, lr, steps, warmup, args }) in input.cases.into_iter().enumerate() {
            let rates = Rates::new(name, args, lr, warmup.into(), steps)
                .map_err(|error| CommandError::usage(format!("`{}`: case {number}: {error}", self.files.input.display())))?;
            cases.push(Values { values: (0..steps).map(|step| rates.rate(step)).collect() });
        }
        write_json(&self.files.out, &Output { cases })
    }
}
