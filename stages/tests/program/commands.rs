//! Programs that `command` stages start, and what becomes of them when the run is stopped.
#![cfg(unix)]

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::place::Place;

/// A shell that writes its process's number down and waits, with a child that waits too.
const MANIFEST: &str = "\
version: 1
stages:
  slow: { uses: command, with: { run: \"echo $$ > ../pid; sleep 600 & sleep 600; echo > $o\", out: { o: o } } }
";

fn signal(process: &str, name: &str) -> bool {
    let kill = Command::new("kill").args(["-s", name, "--", process]).stderr(Stdio::null()).status();
    kill.unwrap().success()
}

/// Waits until this holds, half a minute at most.
#[track_caller]
fn until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Finds the number that the shell wrote down, in the scratch folder of its stage.
fn group(scratch: &Path) -> Option<String> {
    let folders = std::fs::read_dir(scratch).ok()?;
    let mut texts = folders.filter_map(|folder| std::fs::read_to_string(folder.ok()?.path().join("pid")).ok());
    let text = texts.next()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn start(place: &Place) -> (Child, String) {
    let scratch = place.path("scratch");
    std::fs::create_dir_all(&scratch).unwrap();
    std::fs::write(place.path("slow.yaml"), MANIFEST).unwrap();
    let mut command = place.command(&["run", "slow.yaml"]);
    let child = command.env("TMPDIR", &scratch).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the command does not start", || group(&scratch).is_some());
    let group = group(&scratch).unwrap();
    (child, group)
}

#[test]
fn no_program_outlives_a_run_that_ends_before_it() {
    for names in [&["INT", "INT"][..], &["TERM", "TERM"], &["HUP", "INT"], &["KILL"]] {
        let place = Place::new();
        let (mut child, group) = start(&place);
        let all = format!("-{group}");
        assert!(signal(&all, "0"), "it runs");
        for name in names {
            assert!(signal(&child.id().to_string(), name));
            std::thread::sleep(Duration::from_millis(300));
        }
        let code = child.wait().unwrap().code();
        assert_eq!(code, if names == ["KILL"] { None } else { Some(130) }, "{names:?}");
        until("its programs live on", || !signal(&all, "0"));
    }
}

#[test]
fn a_file_that_is_no_text_is_shown_as_it_is() {
    let place = Place::new();
    let manifest =
        "version: 1\nstages:\n  b: { uses: command, with: { run: \"printf '\\\\377\\\\001\\\\n' > $o\", out: { o: o } } }\n";
    std::fs::write(place.path("b.yaml"), manifest).unwrap();
    assert!(place.call(&["run", "b.yaml"]).status.success());
    for words in [&["show", "b.yaml", "b"][..], &["export", "b.yaml", "b.o", "-"]] {
        assert_eq!(place.call(words).stdout, b"\xff\x01\n", "{words:?}");
    }
}
