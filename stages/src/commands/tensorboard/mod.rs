//! `tensorboard`. Takes the record of a run; gives event files that `tensorboard` shows, a folder for each stage that recorded figures.
//!
//! Read this file (the record) first, then `event` (a step's figures as a message) and `frame` (a message as a record of the file).

mod event;
mod frame;

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
};

use clap::Args;
use engine::{CommandError, StageError};
use jiff::Timestamp;
use serde::Deserialize;

use event::Event;

/// Write a run's figures as event files that `tensorboard` reads
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TensorBoard {
    /// The run's folder: `runs/NAME`
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// A new folder; `tensorboard --logdir` takes it
    #[arg(value_name = "DIR")]
    out: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost tensorboard runs/calm-heron-20261124-091500 figures
  tensorboard --logdir figures

`fingerpost run` records each run in a folder of `runs/`.";

/// A line of the run's record, with the fields that are needed.
#[derive(Deserialize)]
struct Line {
    event: String,
    #[serde(default)]
    time: Option<String>,
    #[serde(default)]
    stage: String,
    #[serde(default)]
    figures: Option<Figures>,
}

/// Figures of a training's step.
#[derive(Deserialize)]
struct Figures {
    step: u64,
    metrics: BTreeMap<String, f64>,
}

impl engine::Command for TensorBoard {
    const NAME: &'static str = "tensorboard";

    fn run(&self) -> Result<String, CommandError> {
        let record = self.run.join("events.jsonl");
        let unread = |error| CommandError::usage(format!("`{}` cannot be read: {error}", record.display()));
        let unwritten = |error| StageError::environment(format!("`{}` cannot be written: {error}", self.out.display()));
        if fs::read_dir(&self.out).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(CommandError::usage(format!("`{}` is not empty", self.out.display())));
        }
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for line in BufReader::new(fs::File::open(&record).map_err(unread)?).lines() {
            let line = line.map_err(unread)?;
            // The record also has other events, and figures without a step. They are skipped.
            let Ok(Line { event, time, stage, figures: Some(Figures { step, metrics }) }) = serde_json::from_str(&line) else {
                continue;
            };
            if event != "figures" {
                continue;
            }
            let time = time.and_then(|time| time.parse::<Timestamp>().ok());
            let seconds = time.map_or(0.0, |time| time.as_millisecond() as f64 / 1000.0);
            let file = files.entry(stage).or_insert_with(|| frame::framed(&Event::first(seconds)));
            file.extend(frame::framed(&Event::figures(seconds, step, &metrics)));
        }
        if files.is_empty() {
            return Err(CommandError::usage(format!("no stage recorded training figures in `{}`", record.display())));
        }
        for (stage, bytes) in files {
            let folder = self.out.join(&stage);
            fs::create_dir_all(&folder).map_err(unwritten)?;
            let mut file = fs::File::create(folder.join("events.out.tfevents.0.fingerpost")).map_err(unwritten)?;
            file.write_all(&bytes).map_err(unwritten)?;
        }
        Ok(String::new())
    }
}
