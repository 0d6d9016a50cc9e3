//! What a person, a program and a workflow are shown of a run: what was bought, what was stopped, text from outside.

#[cfg(unix)]
use std::{
    io::{BufReader, Read as _, Write as _},
    process::{Child, Command, Stdio},
    sync::mpsc::Receiver,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::place::{Place, ended};
#[cfg(unix)]
use crate::processes::{signal, until_calls};

/// The event of this kind.
fn event(events: &[Value], kind: &str) -> Value {
    events.iter().find(|event| event["event"] == kind).unwrap_or_else(|| panic!("no {kind} in {events:?}")).clone()
}

#[test]
fn a_stage_that_fails_says_what_it_bought() {
    let place = Place::new();
    place.write_words(20);
    let run = |words: &[&str]| place.call(&[&["run", "words.yaml", "--budget", "0.005"], words].concat()).with(5);
    let events = run(&["--format", "json"]).lines();
    let bought = place.calls().len() as u64;
    assert!(bought > 0 && bought < 20, "{bought}");
    for kind in ["stage_failed", "run_finished"] {
        let event = event(&events, kind);
        assert_eq!(event["calls"], bought, "{event}");
        assert!(event["spent"]["nano_dollars"].as_u64().unwrap() > 0, "{event}");
    }
    let more = run(&[]);
    let bought = format!("{} calls, $", place.calls().len());
    assert_eq!(more.err.matches(&bought).count(), 2, "in its line and in the summary: {}", more.err);
}

#[cfg(unix)]
#[test]
fn a_stopped_run_reads_as_stopped_and_says_how_to_go_on() {
    for json in [true, false] {
        let place = Place::new();
        place.write_words(3000);
        let format = if json { "json" } else { "text" };
        let child = place.command(&["run", "words.yaml", "--budget", "10", "--format", format], 50).spawn().unwrap();
        until_calls(&place, 5);
        signal(&child, "INT");
        let stopped = ended(child).with(130);
        if json {
            let events = stopped.lines();
            assert_eq!(stopped.stages("stage_stopped"), ["shouts"]);
            assert_eq!(stopped.stages("stage_failed"), [""; 0]);
            event(&events, "stopping");
            let end = event(&events, "run_finished");
            assert_eq!((&end["stopped"], &end["failed"], &end["exit"]), (&1.into(), &0.into(), &130.into()), "{end}");
            assert_eq!(end["calls"], place.calls().len() as u64);
        } else {
            for words in ["Stopping", "Stopped shouts", "Stopped words in", "1 stopped", "run the same command again"] {
                assert!(stopped.err.contains(words), "{words}: {}", stopped.err);
            }
            assert!(!stopped.err.contains("Failed") && !stopped.err.contains("cancelled"), "{}", stopped.err);
        }
    }
}

#[test]
fn no_more_stages_run_at_once_than_are_asked_for() {
    let place = Place::new();
    let waits: Vec<_> = (0..6)
        .map(|stage| format!("  w{stage}: {{ uses: wait, in: {{ lines: words }}, with: {{ milliseconds: {} }} }}\n", 20 + stage))
        .collect();
    let waits = waits.concat();
    place.write("words.yaml", &format!("version: 1\nstages:\n  words: {{ uses: lines, with: {{ path: words.txt }} }}\n{waits}"));
    for (jobs, most) in [("1", 1), ("3", 3)] {
        let (mut running, mut seen) = (0, 0);
        for event in place
            .call(&["run", "words.yaml", "--jobs", jobs, "--force", "words", "--from", "words", "--format", "json"])
            .with(0)
            .lines()
        {
            match event["event"].as_str().unwrap() {
                "stage_started" => running += 1,
                "stage_finished" => running -= 1,
                _ => {}
            }
            seen = seen.max(running);
        }
        assert_eq!(seen, most, "--jobs {jobs}");
    }
}

#[test]
fn text_from_outside_does_not_drive_the_terminal() {
    let place = Place::new();
    let name = "wo\u{1b}[2J\u{9b}31m\u{202e}rds.txt";
    place.write(name, "a\tb\n");
    let written: Vec<_> = name.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
    let written = written.concat();
    place.write("words.yaml", &format!("version: 1\nstages:\n  words: {{ uses: lines, with: {{ path: \"{written}\" }} }}\n"));
    for words in [&["run", "words.yaml"][..], &["run", "words.yaml", "--quiet"]] {
        let failed = place.call(words).with(1);
        assert!(failed.err.contains("wo\\u{1b}[2J\\u{9b}31m\\u{202e}rds.txt"), "{}", failed.err);
        assert!(!failed.err.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{}", failed.err);
    }
    let events = place.call(&["run", "words.yaml", "--format", "json"]).with(1).lines();
    assert!(event(&events, "stage_failed")["message"].as_str().unwrap().contains(name), "data stays as it is");
}

#[test]
fn the_reasons_of_a_plan_are_shown_on_their_lines() {
    let place = Place::new();
    place.run(&[]);
    place.change("models: [loud]", "models: [loud], ending: \"\u{202e}one\\ntwo\"");
    let refused = place.call(&["run", "words.yaml", "--frozen"]).with(3);
    assert!(refused.err.contains("with.ending: was !, now \\u{202e}one\\ntwo\n"), "{}", refused.err);
}

#[test]
fn text_from_outside_gives_a_workflow_no_commands() {
    let place = Place::new();
    let name = "words\n::add-mask::a.txt";
    place.write(name, "a\tb\n");
    let written = name.replace('\n', "\\n");
    place.write("words.yaml", &format!("version: 1\nstages:\n  words: {{ uses: lines, with: {{ path: \"{written}\" }} }}\n"));
    for words in [&["run", "words.yaml"][..], &["run", "words.yaml", "--quiet"]] {
        let mut command = place.command(words, 0);
        command.env("GITHUB_ACTIONS", "true").env_remove("GITHUB_STEP_SUMMARY");
        let failed = ended(command.spawn().unwrap()).with(1);
        assert!(failed.err.contains("\n\\::add-mask::a.txt"), "{}", failed.err);
        let mut commands = failed.err.lines().filter(|line| line.trim_start().starts_with("::"));
        assert!(commands.all(|line| line.starts_with("::error file=words.yaml,")), "{}", failed.err);
    }
}

#[test]
fn a_workflow_gets_an_annotation_and_a_summary() {
    let place = Place::new();
    place.change("uses: count", "uses: fail, with: { how: stage }");
    let mut command = place.command(&["run", "words.yaml", "--budget", "1"], 0);
    let summary = place.path("summary.md");
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &summary);
    let failed = ended(command.spawn().unwrap()).with(1);
    let annotation = failed.err.lines().find(|line| line.starts_with("::error ")).unwrap();
    assert!(annotation.contains("file=words.yaml,line=6,") && annotation.contains("these lines will not do"), "{annotation}");
    let table = std::fs::read_to_string(&summary).unwrap();
    assert!(table.contains("| `words` | ran in ") && table.contains("| `tally` | **failed**: these lines"), "{table}");
    let checked = place.command(&["check", "words.yaml", "--format", "github"], 0);
    ended({ checked }.spawn().unwrap()).with(0);
    place.change("uses: shout", "uses: shuot");
    let refused = place.call(&["check", "words.yaml", "--format", "github"]).with(2);
    assert!(refused.err.starts_with("::error file=words.yaml,line=5,"), "{}", refused.err);
}

/// The program on a terminal of its own, made by `script`.
#[cfg(unix)]
struct OnTerminal {
    child: Child,
    shown: Receiver<u8>,
    text: Vec<u8>,
}

#[cfg(unix)]
impl OnTerminal {
    /// Starts the program, or says that there is no `script` to do it.
    #[expect(clippy::print_stderr, reason = "a test says what it skips")]
    fn start(place: &Place, words: &str) -> Option<Self> {
        let program = place.command(&[], 0);
        let line = format!("exec '{}' {words}", program.get_program().display());
        let mut script = Command::new("script");
        script.args(["-qec", &line, "/dev/null"]).current_dir(place.path(".")).env("TOY_CALLS", place.path("calls.txt"));
        script.env_remove("GITHUB_ACTIONS").env_remove("CI").env("TERM", "xterm").env("SHELL", "/bin/sh");
        let Ok(mut child) = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() else {
            eprintln!("skipped: there is no `script`, which makes a terminal");
            return None;
        };
        let (send, shown) = std::sync::mpsc::channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || out.bytes().map_while(Result::ok).try_for_each(|byte| send.send(byte)));
        Some(Self { child, shown, text: Vec::new() })
    }

    /// Waits until these words are shown.
    #[track_caller]
    fn until(&mut self, words: &str) {
        let started = Instant::now();
        while !String::from_utf8_lossy(&self.text).contains(words) {
            let byte = self.shown.recv_timeout(Duration::from_secs(30).saturating_sub(started.elapsed()));
            self.text.push(byte.unwrap_or_else(|_| panic!("no `{words}` in {}", String::from_utf8_lossy(&self.text))));
        }
    }

    fn press(&mut self, keys: &str) {
        self.child.stdin.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the end, which must come soon, and returns what was shown.
    #[track_caller]
    fn with(mut self, code: i32) -> String {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > Duration::from_secs(30) {
                self.child.kill().unwrap();
                self.text.extend(self.shown.iter());
                panic!("it goes on: {}", String::from_utf8_lossy(&self.text));
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        self.text.extend(self.shown.iter());
        let text = String::from_utf8_lossy(&self.text).into_owned();
        assert_eq!(status.code(), Some(code), "{text}");
        text
    }
}

#[cfg(unix)]
#[test]
fn a_run_that_would_pay_asks_for_a_budget_on_a_terminal() {
    for (keys, code, calls) in [("\n", 5, 0), ("n\n", 5, 0), ("\u{4}", 5, 0), ("\u{3}", 130, 0), ("much\n0.01\n", 0, 2)] {
        let place = Place::new();
        let Some(mut terminal) = OnTerminal::start(&place, "run words.yaml") else { return };
        terminal.until("Enter to spend nothing: ");
        terminal.press(keys);
        let shown = terminal.with(code);
        assert_eq!(place.calls().len(), calls, "{keys:?}: {shown}");
        assert_eq!(shown.matches("How many dollars").count(), 1, "{shown}");
        assert!(shown.contains("`shouts` would make 2 calls for at most $0.002"), "{shown}");
        assert_eq!(shown.contains("Failed"), code == 5, "{shown}");
    }
}

#[cfg(unix)]
#[test]
fn a_run_that_is_cut_off_leaves_no_live_line() {
    let place = Place::new();
    place.change("uses: count", "uses: wait, with: { milliseconds: 60000, stubborn: true }");
    let Some(mut terminal) = OnTerminal::start(&place, "run words.yaml --budget 1") else { return };
    terminal.until("  1s tally");
    terminal.press("\u{3}");
    terminal.until("Ctrl-C again stops now");
    terminal.press("\u{3}");
    let shown = terminal.with(130);
    let last = shown.trim_end().lines().last().unwrap();
    assert!(last.contains("Stopped") && last.ends_with("run the same command again to continue"), "{shown:?}");
}
