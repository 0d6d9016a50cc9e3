//! A folder with a manifest, a file of words, a cache and a list of the calls that were made.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

/// Words, shouted by one model, counted.
pub(crate) const WORDS: &str = "\
version: 1
name: words
stages:
  words: { uses: lines, with: { path: words.txt } }
  shouts: { uses: shout, in: { lines: words }, with: { models: [loud] } }
  tally: { uses: count, in: { lines: shouts } }
";

/// A folder that goes with the test.
pub(crate) struct Place(tempfile::TempDir);

/// How a call of the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// Checks the exit code.
    #[track_caller]
    pub(crate) fn with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        self
    }

    /// What standard output says, line by line, as JSON.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The stages that an event of this kind speaks of, in the order of their names.
    pub(crate) fn stages(&self, event: &str) -> Vec<String> {
        let events = self.lines();
        let told = events.iter().filter(|told| told["event"] == event);
        let mut stages: Vec<_> = told.map(|told| told["stage"].as_str().unwrap().to_owned()).collect();
        stages.sort();
        stages
    }

    /// The stages that ran to their end.
    pub(crate) fn ran(&self) -> Vec<String> {
        self.stages("stage_finished")
    }
}

impl Place {
    /// A place with [`WORDS`] as `words.yaml`, and two words.
    pub(crate) fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("words.yaml", WORDS);
        place.write("words.txt", "one\ntwo\n");
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Writes a file of so many different words.
    pub(crate) fn write_words(&self, count: usize) {
        let words: Vec<_> = (0..count).map(|word| format!("word {word}\n")).collect();
        self.write("words.txt", &words.concat());
    }

    /// Writes `words.yaml` with one text in place of another, which must be there.
    #[track_caller]
    pub(crate) fn change(&self, from: &str, to: &str) {
        assert!(WORDS.contains(from), "{from}");
        self.write("words.yaml", &WORDS.replace(from, to));
    }

    /// The program with these words; `wait` is how long a call to a model takes, in milliseconds.
    pub(crate) fn command(&self, words: &[&str], wait: u64) -> Command {
        let tests = std::env::current_exe().unwrap();
        let program = tests.ancestors().nth(2).unwrap().join("examples").join(format!("toy{}", std::env::consts::EXE_SUFFIX));
        assert!(program.is_file(), "{} is not built: `cargo build -p engine --example toy`", program.display());
        let mut command = Command::new(program);
        command.args(words).current_dir(self.0.path());
        command.env("TOY_CALLS", self.path("calls.txt")).env("TOY_MILLISECONDS", wait.to_string());
        command.env_remove("GITHUB_ACTIONS").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn call(&self, words: &[&str]) -> Ended {
        ended(self.command(words, 0).spawn().unwrap())
    }

    /// Runs `words.yaml` with calls paid for, which must succeed, and returns its events.
    #[track_caller]
    pub(crate) fn run(&self, words: &[&str]) -> Ended {
        let budget: &[&str] = if words.contains(&"--budget") { &[] } else { &["--budget", "10"] };
        self.call(&[&["run", "words.yaml", "--format", "json"], budget, words].concat()).with(0)
    }

    /// The calls made to models since the last look, in alphabetical order.
    pub(crate) fn calls(&self) -> Vec<String> {
        let path = self.path("calls.txt");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        if path.exists() {
            std::fs::remove_file(&path).unwrap();
        }
        let mut calls: Vec<_> = text.lines().map(str::to_owned).collect();
        calls.sort();
        calls
    }

    /// The rows of `words.yaml`'s stage, as text by id.
    #[track_caller]
    pub(crate) fn rows(&self, stage: &str) -> BTreeMap<String, String> {
        let shown = self.call(&["show", "words.yaml", stage]).with(0);
        let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
        shown.lines().iter().map(|row| (text(row, "id"), text(row, "text"))).collect()
    }
}

/// Waits for the program's end.
pub(crate) fn ended(child: Child) -> Ended {
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
