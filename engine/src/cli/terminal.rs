//! Events → lines on standard error: one a finished stage, and live ones below where a person watches.

use std::{
    collections::BTreeMap,
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{
    plan::saved,
    style::{self, counted, duration},
    talk,
};
use crate::event::{Event, Subscriber};

/// Between two signs of life of a stage where nobody watches.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// The columns that verbs are right-aligned in.
const GUTTER: usize = 12;

pub(super) struct Terminal {
    color: bool,
    live: Option<MultiProgress>,
    running: BTreeMap<String, Running>,
    failures: Vec<String>,
}

struct Running {
    bar: Option<ProgressBar>,
    told: Instant,
    /// When it was first heard of, and what was done by then.
    first: Option<(Instant, u64)>,
}

impl Terminal {
    pub(super) fn new(color: bool) -> Self {
        let watched = std::io::stderr().is_terminal() && std::env::var_os("CI").is_none();
        Self {
            color,
            live: watched.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr())),
            running: BTreeMap::new(),
            failures: Vec::new(),
        }
    }

    fn line(&self, verb: &str, text: &str) {
        self.write(&format!("{} {text}", style::verb(&format!("{verb:>GUTTER$}"), self.color)));
    }

    fn write(&self, line: &str) {
        match &self.live {
            Some(live) => live.suspend(|| talk(&format!("{line}\n"))),
            None => talk(&format!("{line}\n")),
        }
    }

    fn start(&mut self, stage: &str) {
        let bar = self.live.as_ref().map(|live| {
            let bar = live.add(ProgressBar::new(0));
            let template = "{prefix:>12.bold} {msg} [{wide_bar}] {pos}/{len} · {eta} left";
            // The template is fixed text; were it wrong, the default would do.
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix("Running");
            bar.set_message(stage.to_owned());
            bar
        });
        if bar.is_none() {
            self.line("Running", stage);
        }
        let told = Instant::now();
        self.running.insert(stage.to_owned(), Running { bar, told, first: None });
    }

    fn progress(&mut self, stage: &str, done: u64, total: u64, note: &str) {
        let Some(running) = self.running.get_mut(stage) else { return };
        let is_first = running.first.is_none();
        let (since, before) = *running.first.get_or_insert_with(|| (Instant::now(), done));
        if let Some(bar) = &running.bar {
            bar.set_length(total);
            bar.set_position(done);
            if is_first {
                // What an earlier run did says nothing of this one's speed.
                bar.reset_eta();
            }
            bar.set_message(format!("{stage} {note}"));
        } else if running.told.elapsed() >= HEARTBEAT {
            running.told = Instant::now();
            let each = since.elapsed().as_secs_f64() / done.saturating_sub(before).max(1) as f64;
            let left = duration(each * total.saturating_sub(done) as f64);
            self.line("Running", &format!("{stage} {done}/{total} {note}, {left} left"));
        }
    }

    fn stop(&mut self, stage: &str) {
        if let Some(Running { bar: Some(bar), .. }) = self.running.remove(stage) {
            bar.finish_and_clear();
        }
    }
}

impl Subscriber for Terminal {
    fn on(&mut self, event: &Event) {
        match event {
            Event::RunStarted { .. } | Event::Figures { .. } => {}
            Event::StageCached { stage, rows, .. } => self.line("Cached", &format!("{stage:12} {}", rows_of(*rows))),
            Event::StageStarted { stage, .. } => self.start(stage),
            Event::Progress { stage, done, total, note } => self.progress(stage, *done, *total, note),
            Event::StageFinished { stage, rows, seconds, calls, reused, spent, unchanged, .. } => {
                self.stop(stage);
                let mut facts = vec![format!("in {}", duration(*seconds))];
                if calls + reused > 0 {
                    facts.push(format!("{}, {reused} reused", counted(*calls, "call")));
                }
                facts.extend(Some(spent.to_string()).filter(|spent| !spent.is_empty()));
                if *unchanged {
                    facts.push("came out the same".to_owned());
                }
                let rows = rows.map_or_else(String::new, |rows| format!("{} ", counted(rows, "row")));
                self.line("Ran", &format!("{stage:12} {rows}{}", facts.join(", ")));
            }
            Event::StageFailed { stage, message, help, .. } => {
                self.stop(stage);
                let mut text = format!("{} {stage}: {message}", style::error(&format!("{:>GUTTER$}", "Failed"), self.color));
                if let Some(help) = help {
                    text += &format!("\n{} {help}", style::hint(&format!("{:>GUTTER$}", "help:"), self.color));
                }
                self.write(&text);
                self.failures.push(text);
            }
            Event::StageSkipped { stage, after } => self.line("Skipped", &format!("{stage:12} `{after}` failed")),
            Event::Note { message, .. } => self.line("", message),
            Event::Warning { stage, message } => {
                let verb = style::warning(&format!("{:>GUTTER$}", "Warning"), self.color);
                let of = stage.as_ref().map_or_else(String::new, |stage| format!("{stage}: "));
                self.write(&format!("{verb} {of}{message}"));
            }
            Event::RunFinished { run, manifest, ran, cached, failed, calls, spent, seconds, saved_seconds, .. } => {
                // With several failures the first lines are far up by now.
                if self.failures.len() > 1 {
                    self.write("\nfailures:");
                    for failure in &self.failures {
                        self.write(failure);
                    }
                }
                let mut facts = vec![format!("{ran} ran"), format!("{cached} cached")];
                if *failed > 0 {
                    facts.push(format!("{failed} failed"));
                }
                facts.push(counted(*calls, "call"));
                facts.extend(Some(spent.to_string()).filter(|spent| !spent.is_empty()));
                let verb = if *failed > 0 { "Ended" } else { "Finished" };
                self.line(
                    verb,
                    &format!("{manifest} in {}: {}{} · run {run}", duration(*seconds), facts.join(", "), saved(*saved_seconds)),
                );
            }
        }
    }
}

fn rows_of(rows: Option<u64>) -> String {
    rows.map_or_else(String::new, |rows| counted(rows, "row"))
}
