//! A cache and a folder of runs, and the program called on them.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::Value;

/// A cache and a folder of runs that go with the test.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fingerpost"));
        command.args(words).arg("--cache").arg(self.path("cache")).arg("--runs").arg(self.path("runs"));
        command.current_dir(self.folder.path());
        command
    }

    pub(crate) fn call(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Calls a command that must succeed; returns its standard output.
    pub(crate) fn good(&self, words: &[&str]) -> String {
        let output = self.call(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What ran and what was cached, by stage.
    pub(crate) fn events(&self, words: &[&str]) -> BTreeMap<String, String> {
        let out = self.good(&[words, &["--format", "json"]].concat());
        let events = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let told = events.filter_map(|event| {
            let kind = event["event"].as_str()?;
            ["stage_cached", "stage_finished"]
                .contains(&kind)
                .then(|| (event["stage"].as_str().unwrap().to_owned(), kind.to_owned()))
        });
        told.collect()
    }

    pub(crate) fn rows(&self, words: &[&str]) -> Vec<Value> {
        self.good(&[&["show"], words].concat()).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
