//! GitHub workflows. Takes failures and events; gives annotations at the failed stages, and a table of the run in the step's summary.
#![expect(clippy::disallowed_methods, reason = "where a summary goes changes no result")]

use std::{borrow::Cow, fs::OpenOptions, io::Write as _, path::PathBuf};

use super::{
    style::{counted, duration},
    talk,
};
use crate::{
    diagnostic::{self, Mistake},
    event::{Event, Subscriber},
    execute::{Failure, Outcome},
    resolve::Pipeline,
    visible::visible,
};

/// Returns a text of which the workflow's runner takes no line for a command: a model's or a program's words must not give it commands.
pub(super) fn inert(text: &str) -> Cow<'_, str> {
    let is_command = |line: &str| line.trim_start().starts_with("::");
    if !is_here() || !text.lines().any(is_command) {
        return Cow::Borrowed(text);
    }
    let lines = text.split('\n').map(|line| if is_command(line) { line.replacen("::", "\\::", 1) } else { line.to_owned() });
    Cow::Owned(lines.collect::<Vec<_>>().join("\n"))
}

/// Returns whether the program runs in a step of a GitHub workflow.
pub(super) fn is_here() -> bool {
    std::env::var_os("GITHUB_ACTIONS").is_some()
}

/// Writes an annotation for each stage that failed, at its line in the manifest.
pub(super) fn annotate(pipeline: &Pipeline, outcome: &Outcome) {
    let failed = |(name, failure): &(String, Failure)| -> Option<Mistake> {
        let stage = pipeline.manifest.stages.iter().find(|stage| stage.name == *name)?;
        let help = match failure {
            Failure::Stage(error) => error.help.clone(),
            Failure::Panic(_) => None,
        };
        let message = format!("`{name}` failed: {failure}");
        Some(pipeline.manifest.mistake_at_key(&stage.path(), "stage-failed", message).help_if(help))
    };
    let mistakes: Vec<_> = outcome.failures.iter().filter_map(failed).collect();
    talk(&diagnostic::render(&mistakes, diagnostic::Format::Github));
}

/// Appends Markdown to the step's summary, where there is one. A summary that cannot be written changes no result.
pub(super) fn append(markdown: &str) {
    if let Some(path) = summary() {
        let file = OpenOptions::new().append(true).create(true).open(path);
        let _unwritten = file.and_then(|mut file| file.write_all(markdown.as_bytes()));
    }
}

fn summary() -> Option<PathBuf> {
    std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| is_here() && !path.is_empty()).map(PathBuf::from)
}

/// A subscriber that writes a table of the events into the step's summary.
pub(super) struct Summary {
    rows: Vec<[String; 5]>,
}

impl Summary {
    pub(super) fn open() -> Option<Self> {
        summary().map(|_| Self { rows: Vec::new() })
    }

    fn row(&mut self, stage: &str, what: String, rows: Option<u64>, calls: u64, cost: String) {
        let rows = rows.map_or_else(String::new, |rows| rows.to_string());
        let calls = if calls > 0 { calls.to_string() } else { String::new() };
        self.rows.push([format!("`{stage}`"), what, rows, calls, cost].map(|text| cell(&text)));
    }
}

/// Returns a text for a cell of a Markdown table.
fn cell(text: &str) -> String {
    visible(text).replace('|', "\\|").replace('\n', " ").replace('<', "&lt;")
}

/// Returns a text in a block of its own, whatever is in it.
pub(super) fn block(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{}{fence}\n\n", visible(text))
}

impl Subscriber for Summary {
    fn on(&mut self, event: &Event) {
        match event {
            Event::StageCached { stage, rows, .. } => self.row(stage, "cached".to_owned(), *rows, 0, String::new()),
            Event::StageFinished { stage, rows, seconds, calls, spent, .. } => {
                self.row(stage, format!("ran in {}", duration(*seconds)), *rows, *calls, spent.to_string());
            }
            Event::StageFailed { stage, message, calls, spent, .. } => {
                self.row(stage, format!("**failed**: {message}"), None, *calls, spent.to_string());
            }
            Event::StageStopped { stage, calls, spent, .. } => {
                self.row(stage, "stopped".to_owned(), None, *calls, spent.to_string());
            }
            Event::StageSkipped { stage, after } => self.row(stage, format!("skipped: `{after}` failed"), None, 0, String::new()),
            Event::RunFinished { run, manifest, calls, spent, seconds, .. } => {
                let mut text =
                    format!("### {}\n\n| stage | result | rows | calls | cost |\n|---|---|---|---|---|\n", cell(manifest));
                for row in &self.rows {
                    text += &format!("| {} |\n", row.join(" | "));
                }
                let spent = Some(spent.to_string())
                    .filter(|spent| !spent.is_empty())
                    .map_or_else(String::new, |spent| format!(", {spent}"));
                text += &format!("\nRun `{run}`: {}, {}{spent}.\n\n", duration(*seconds), counted(*calls, "call"));
                append(&text);
            }
            _ => {}
        }
    }
}
