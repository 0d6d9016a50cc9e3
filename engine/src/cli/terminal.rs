//! The terminal. Takes events; gives lines on standard error: one for each finished stage, and live ones below where a person watches.
#![expect(clippy::disallowed_methods, reason = "who watches changes no result")]

use std::{
    collections::BTreeMap,
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{
    exit::Exit,
    github,
    live::Live,
    plan::saved,
    style::{self, counted, duration},
    talk,
};
use crate::{
    budget::{Lost, Spent},
    event::{Event, Subscriber},
    visible::visible,
};

/// The time between two signs of life of a stage, where nobody watches.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// The time between two pictures of a spinner.
const TICK: Duration = Duration::from_millis(200);

/// The columns that verbs are right-aligned in.
const GUTTER: usize = 12;

/// What is shown after the first signal.
pub(super) const STOPPING: &str = "Stopping: what runs ends first; Ctrl-C again stops now";

/// What to do after a stop.
const AGAIN: &str = "run the same command again to continue";

/// The columns of a bar.
const BAR: usize = 20;

pub(super) struct Terminal {
    color: bool,
    live: Option<MultiProgress>,
    running: BTreeMap<String, Running>,
    failures: Vec<String>,
}

struct Running {
    bar: Option<ProgressBar>,
    since: Instant,
    shown: Instant,
    /// When its progress was first reported, and what was done by then.
    first: Option<(Instant, u64)>,
    /// How far it is, in words.
    progress: String,
}

impl Running {
    /// Returns a sign of life where the last one is `HEARTBEAT` ago.
    fn heartbeat(&mut self, stage: &str, now: Instant) -> Option<String> {
        if now.duration_since(self.shown) < HEARTBEAT {
            return None;
        }
        self.shown = now;
        let time = duration(now.duration_since(self.since).as_secs_f64());
        Some(format!("{stage}{}, for {time}", self.progress))
    }
}

impl Terminal {
    pub(super) fn new(color: bool) -> Self {
        let watched = std::io::stderr().is_terminal() && std::env::var_os("CI").is_none();
        Self {
            color,
            live: watched
                .then(|| MultiProgress::with_draw_target(ProgressDrawTarget::term_like_with_hz(Box::new(Live::stderr()), 20))),
            running: BTreeMap::new(),
            failures: Vec::new(),
        }
    }

    /// Returns the live lines, where a person watches who can be asked.
    pub(super) fn live(&self) -> Option<MultiProgress> {
        self.live.clone().filter(|_| std::io::stdin().is_terminal())
    }

    fn line(&self, verb: &str, text: &str) {
        self.write(&format!("{} {}", style::verb(&format!("{verb:>GUTTER$}"), self.color), visible(text)));
    }

    /// Writes a line. Control characters from outside must be written out in it already.
    fn write(&self, line: &str) {
        let line = github::inert(line);
        match &self.live {
            Some(live) => live.suspend(|| talk(&format!("{line}\n"))),
            None => talk(&format!("{line}\n")),
        }
    }

    fn start(&mut self, stage: &str) {
        let bar = self.live.as_ref().map(|live| {
            let stage = visible(stage);
            let stage = console::truncate_str(&stage, columns().saturating_sub("| 59m ".len()), "…").into_owned();
            let bar = ProgressBar::new_spinner().with_prefix("Running").with_message(stage);
            bar.set_style(self.style("{spinner} {elapsed:>4} {msg}"));
            let bar = live.add(bar);
            bar.enable_steady_tick(TICK);
            bar
        });
        if bar.is_none() {
            self.line("Running", stage);
        }
        let now = Instant::now();
        self.running.insert(stage.to_owned(), Running { bar, since: now, shown: now, first: None, progress: String::new() });
    }

    fn style(&self, rest: &str) -> ProgressStyle {
        let bold = if self.color { ".bold" } else { "" };
        // The template is fixed text; were it wrong, the default would do.
        let style = ProgressStyle::with_template(&format!("{{prefix:>{GUTTER}{bold}}} {rest}"));
        style.unwrap_or_else(|_| ProgressStyle::default_spinner()).tick_chars("|/-\\|")
    }

    fn progress(&mut self, stage: &str, done: u64, total: u64, note: &str) {
        let Some(running) = self.running.get_mut(stage) else { return };
        let is_first = running.first.is_none();
        // What an earlier run did says nothing about the speed of this one.
        let (since, before) = *running.first.get_or_insert_with(|| (Instant::now(), done));
        let each = since.elapsed().as_secs_f64() / done.saturating_sub(before).max(1) as f64;
        let left = duration(each * total.saturating_sub(done) as f64);
        if let Some(bar) = running.bar.clone() {
            if total > 0 && is_first {
                bar.disable_steady_tick();
                bar.set_style(self.style("{msg}"));
            }
            bar.set_message(counting(&visible(stage), done, total, &visible(note), &left, columns()));
        } else {
            let note = if note.is_empty() { String::new() } else { format!(" · {note}") };
            running.progress =
                if total > 0 { format!(" {done}/{total}{note} · {left} left") } else { format!(" {done} done{note}") };
        }
    }

    fn stop(&mut self, stage: &str) {
        if let Some(Running { bar: Some(bar), .. }) = self.running.remove(stage) {
            bar.finish_and_clear();
        }
    }

    /// Removes the live line of a stage that did not finish, and returns a line with its name, what was bought, and more.
    fn ended(&mut self, styled: &str, stage: &str, more: &str, calls: u64, spent: Spent) -> String {
        self.stop(stage);
        let bought = bought(calls, spent);
        let bought = if bought.is_empty() { String::new() } else { format!(" ({bought})") };
        format!("{styled} {}{}{bought}", visible(stage), visible(more))
    }
}

/// Returns the columns of the terminal after the gutter. A few stay free: what is typed, such as `^C`, must not wrap a live line.
fn columns() -> usize {
    usize::from(console::Term::stderr().size().1).saturating_sub(GUTTER + 1 + "^C^C".len())
}

/// Returns the live line of a stage that counts, in at most `columns` columns: of the note, the bar and the time left, those that fit.
fn counting(stage: &str, done: u64, total: u64, note: &str, left: &str, columns: usize) -> String {
    let count = if total > 0 { format!("{done}/{total}") } else { format!("{done} done") };
    let left = if total > 0 { format!(" · {left} left") } else { String::new() };
    let note = if note.is_empty() { String::new() } else { format!(" · {note}") };
    let bar = if total > 0 { format!(" [{}]", bar(done, total)) } else { String::new() };
    let fits = |text: &String| console::measure_text_width(text) <= columns;
    let choices = [
        format!("{stage}{bar} {count}{note}{left}"),
        format!("{stage}{bar} {count}{left}"),
        format!("{stage} {count}{left}"),
        format!("{stage} {count}"),
    ];
    // Where not even the last one fits, the name is cut.
    choices.into_iter().find(fits).unwrap_or_else(|| {
        let room = columns.saturating_sub(count.len() + 1);
        format!("{} {count}", console::truncate_str(stage, room, "…"))
    })
}

fn bar(done: u64, total: u64) -> String {
    let full = usize::try_from(done.min(total) * BAR as u64 / total.max(1)).unwrap_or(BAR);
    let head = if full < BAR { ">" } else { "" };
    format!("{:BAR$}", "=".repeat(full) + head)
}

/// Returns what a stage bought that did not finish: `paid for 12 calls, $0.30; the replies are cached`; an empty text where it bought
/// nothing.
fn bought(calls: u64, spent: Spent) -> String {
    let paid = Spent { lost: Lost::default(), ..spent }.to_string();
    let calls = (calls > 0).then(|| counted(calls, "call"));
    let paid: Vec<_> = calls.into_iter().chain(Some(paid).filter(|paid| !paid.is_empty())).collect();
    let paid = (!paid.is_empty()).then(|| format!("paid for {}; the replies are cached", paid.join(", ")));
    let lost = (!spent.lost.is_nothing()).then(|| spent.lost.to_string());
    paid.into_iter().chain(lost).collect::<Vec<_>>().join("; ")
}

impl Subscriber for Terminal {
    fn cut_off(&mut self) {
        if let Some(live) = &self.live {
            // Live lines would stay, since nobody clears them any more.
            let _gone = live.clear();
            live.set_draw_target(ProgressDrawTarget::hidden());
        }
        let verb = style::warning(&format!("{:>GUTTER$}", "Stopped"), self.color);
        self.write(&format!("{verb} at once; {AGAIN}"));
    }

    fn beat(&mut self) {
        if self.live.is_none() {
            let now = Instant::now();
            let due: Vec<_> = self.running.iter_mut().filter_map(|(stage, running)| running.heartbeat(stage, now)).collect();
            for text in due {
                self.line("Running", &text);
            }
        }
    }

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
                    facts.push("output unchanged".to_owned());
                }
                let rows = rows.map_or_else(String::new, |rows| format!("{} ", counted(rows, "row")));
                self.line("Ran", &format!("{stage:12} {rows}{}", facts.join(", ")));
            }
            Event::StageFailed { stage, message, help, calls, spent, .. } => {
                let verb = style::error(&format!("{:>GUTTER$}", "Failed"), self.color);
                let mut text = self.ended(&verb, stage, &format!(": {message}"), *calls, *spent);
                if let Some(help) = help {
                    text += &format!("\n{} {}", style::hint(&format!("{:>GUTTER$}", "help:"), self.color), visible(help));
                }
                self.write(&text);
                self.failures.push(text);
            }
            Event::StageStopped { stage, calls, spent, .. } => {
                let verb = style::warning(&format!("{:>GUTTER$}", "Stopped"), self.color);
                let text = self.ended(&verb, stage, "", *calls, *spent);
                self.write(&text);
            }
            Event::Stopping => {
                let verb = style::warning(&format!("{:>GUTTER$}", "Stopping"), self.color);
                self.write(&format!("{verb} {}", STOPPING.trim_start_matches("Stopping: ")));
            }
            Event::StageSkipped { stage, after } => self.line("Skipped", &format!("{stage:12} `{after}` failed")),
            Event::Note { stage, message } => self.line("", &format!("{stage}: {message}")),
            Event::Warning { stage, message } => {
                let verb = style::warning(&format!("{:>GUTTER$}", "Warning"), self.color);
                let of = stage.as_ref().map_or_else(String::new, |stage| format!("{stage}: "));
                self.write(&format!("{verb} {}", visible(&format!("{of}{message}"))));
            }
            Event::RunFinished { run, manifest, ran, cached, failed, stopped, calls, spent, seconds, saved_seconds, exit } => {
                // With several failures the first of their lines are far up by now.
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
                if *stopped > 0 {
                    facts.push(format!("{stopped} stopped"));
                }
                facts.push(counted(*calls, "call"));
                facts.extend(Some(spent.to_string()).filter(|spent| !spent.is_empty()));
                let interrupted = *exit == Exit::Interrupted as u8;
                let verb = match (interrupted, *failed) {
                    (true, _) => "Stopped",
                    (false, 0) => "Finished",
                    (false, _) => "Ended",
                };
                self.line(
                    verb,
                    &format!("{manifest} in {}: {}{} · run {run}", duration(*seconds), facts.join(", "), saved(*saved_seconds)),
                );
                if interrupted {
                    self.line("", AGAIN);
                }
            }
        }
    }
}

fn rows_of(rows: Option<u64>) -> String {
    rows.map_or_else(String::new, |rows| counted(rows, "row"))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Running, counting};

    #[test]
    fn a_stage_gives_a_sign_of_life_each_half_minute() {
        let since = Instant::now();
        let mut running = Running { bar: None, since, shown: since, first: None, progress: String::new() };
        let mut at = |seconds| running.heartbeat("sft", since + Duration::from_secs(seconds));
        assert_eq!(at(29), None);
        assert_eq!(at(31).as_deref(), Some("sft, for 31.0s"));
        assert_eq!(at(60), None);
        assert_eq!(at(61).as_deref(), Some("sft, for 1m 01s"));
        running.progress = " 3/9 · loss 0.2 · 2m 00s left".to_owned();
        let later = running.heartbeat("sft", since + Duration::from_secs(100));
        assert_eq!(later.as_deref(), Some("sft 3/9 · loss 0.2 · 2m 00s left, for 1m 40s"));
    }

    #[test]
    fn a_live_line_fits_and_loses_the_note_first() {
        let line = |columns| counting("answers", 610, 980, "$0.09", "10s", columns);
        assert_eq!(line(80), "answers [============>       ] 610/980 · $0.09 · 10s left");
        assert_eq!(line(55), "answers [============>       ] 610/980 · 10s left");
        assert_eq!(line(30), "answers 610/980 · 10s left");
        assert_eq!(line(15), "answers 610/980");
        assert_eq!(line(12), "ans… 610/980");
        assert_eq!(counting("s", 5, 0, "", "0s", 80), "s 5 done");
        assert_eq!(counting("s", 5, 5, "", "0s", 80), "s [====================] 5/5 · 0s left");
    }
}
