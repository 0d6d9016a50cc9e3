//! The record of a run. Takes the run's events; gives the folder `runs/<name>/`: the manifest as run, the plan, and a JSON line for each
//! event.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use serde::Serialize;
use serde_json::{Value, json};

use crate::event::{Event, Subscriber};

/// Writes events as JSON lines, to the record's file or to standard output.
pub(crate) struct JsonLines<W: Write + Send> {
    out: W,
    timed: bool,
    unwritten: Unwritten,
}

/// Why a line could not be written; set the first time.
type Unwritten = Arc<OnceLock<String>>;

impl<W: Write + Send> JsonLines<W> {
    pub(crate) fn new(out: W, timed: bool) -> Self {
        Self { out, timed, unwritten: Unwritten::default() }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(flatten)]
    event: &'a Event,
}

impl<W: Write + Send> Subscriber for JsonLines<W> {
    fn on(&mut self, event: &Event) {
        // Progress is for people who watch; in a record it would drown the rest.
        if self.timed && matches!(event, Event::Progress { .. }) {
            return;
        }
        let line = Line { version: 1, time: self.timed.then(|| jiff::Timestamp::now().to_string()), event };
        // A record that cannot be written any more must not end a run that pays for calls.
        let line = serde_json::to_string(&line).map_err(std::io::Error::from);
        if let Err(error) = line.and_then(|line| writeln!(self.out, "{line}")).and_then(|()| self.out.flush()) {
            self.unwritten.get_or_init(|| error.to_string());
        }
    }
}

/// The folder of one run.
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    unwritten: Unwritten,
}

impl Record {
    /// Creates the folder under a name that is free.
    pub(crate) fn start(runs: &Path, manifest: &str, plan: &Value, sets: &[String]) -> std::io::Result<Self> {
        std::fs::create_dir_all(runs)?;
        let (name, folder) = free(runs)?;
        std::fs::write(folder.join("manifest.yaml"), manifest)?;
        let plan = json!({ "version": 1, "set": sets, "plan": plan });
        std::fs::write(folder.join("plan.json"), format!("{plan:#}\n"))?;
        Ok(Self { name, folder, unwritten: Unwritten::default() })
    }

    /// Returns the subscriber that writes `events.jsonl`.
    pub(crate) fn subscriber(&self) -> std::io::Result<JsonLines<BufWriter<File>>> {
        let file = File::create(self.folder.join("events.jsonl"))?;
        Ok(JsonLines { out: BufWriter::new(file), timed: true, unwritten: Arc::clone(&self.unwritten) })
    }

    /// Returns why an event could not be written, if one could not.
    pub(crate) fn unwritten(&self) -> Option<&str> {
        self.unwritten.get().map(String::as_str)
    }
}

const ADJECTIVES: [&str; 16] = [
    "amber", "brisk", "calm", "clear", "early", "fair", "fleet", "green", "keen", "light", "plain", "quiet", "steady", "swift",
    "warm", "wide",
];
const NOUNS: [&str; 16] = [
    "badger", "brook", "cedar", "crane", "field", "finch", "fox", "hare", "heron", "hill", "lark", "meadow", "otter", "path",
    "stile", "wren",
];

fn free(runs: &Path) -> std::io::Result<(String, PathBuf)> {
    let now = jiff::Timestamp::now();
    let seed = now.as_nanosecond().unsigned_abs() / 1000;
    let word = |words: &[&str; 16], of: u128| words[usize::try_from(of % 16).unwrap_or(0)].to_owned();
    let date = now.strftime("%Y%m%d-%H%M%S");
    let name = format!("{}-{}-{date}", word(&ADJECTIVES, seed), word(&NOUNS, seed / 16));
    for attempt in 1_u32.. {
        let name = if attempt == 1 { name.clone() } else { format!("{name}-{attempt}") };
        let folder = runs.join(&name);
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok((name, folder)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(std::io::Error::other("no free name"))
}
