//! Everything that happens during a run, as data. Terminal, JSON lines and the record are subscribers.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde_json::Value;

use crate::budget::Spent;

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// A run begins.
    RunStarted { run: String, manifest: String, stages: usize },
    /// A stage's result is cached.
    StageCached { stage: String, kind: String, key: String, rows: Option<u64>, seconds: f64, calls: u64 },
    /// A stage begins to run, and why.
    StageStarted { stage: String, kind: String, key: String, why: Vec<String> },
    /// A stage made progress: `done` of `total` (0 where unknown).
    Progress { stage: String, done: u64, total: u64, note: String },
    /// Figures of a running stage, such as those of a training step.
    Figures { stage: String, figures: Value },
    /// A stage gave its outputs.
    StageFinished {
        stage: String,
        kind: String,
        key: String,
        rows: Option<u64>,
        seconds: f64,
        calls: u64,
        reused: u64,
        spent: Spent,
        unchanged: bool,
    },
    /// A stage failed, after it had made these calls.
    StageFailed { stage: String, kind: String, message: String, help: Option<String>, calls: u64, spent: Spent },
    /// A signal stopped a stage, after it had made these calls.
    StageStopped { stage: String, kind: String, calls: u64, spent: Spent },
    /// A stage did not run because an upstream stage failed.
    StageSkipped { stage: String, after: String },
    /// A stage's result in a sentence.
    Note { stage: String, message: String },
    /// Something that a person should know.
    Warning { stage: Option<String>, message: String },
    /// A signal came: running stages end, and no other stage starts.
    Stopping,
    /// The run is over.
    RunFinished {
        run: String,
        manifest: String,
        exit: u8,
        ran: usize,
        cached: usize,
        failed: usize,
        stopped: usize,
        calls: u64,
        spent: Spent,
        seconds: f64,
        saved_seconds: f64,
    },
}

/// Something that gets every event, in order.
pub(crate) trait Subscriber: Send {
    /// Reacts to an event.
    fn on(&mut self, event: &Event);

    /// Reacts to the passing of time.
    fn beat(&mut self) {}

    /// Reacts to the end of the program, which follows at once.
    fn cut_off(&mut self) {}
}

/// Sends events to the subscribers, one at a time.
#[derive(Clone, Default)]
pub(crate) struct Events(Arc<Mutex<Vec<Box<dyn Subscriber>>>>);

impl Events {
    /// Returns what sends events to these subscribers.
    pub(crate) fn new(subscribers: Vec<Box<dyn Subscriber>>) -> Self {
        Self(Arc::new(Mutex::new(subscribers)))
    }

    pub(crate) fn send(&self, event: &Event) {
        for subscriber in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            subscriber.on(event);
        }
    }

    /// Tells the subscribers that time has passed, unless they are busy; called every few seconds of a run.
    pub(crate) fn beat(&self) {
        if let Ok(mut subscribers) = self.0.try_lock() {
            subscribers.iter_mut().for_each(|subscriber| subscriber.beat());
        }
    }

    /// Tells the subscribers that the program ends at once. Nothing is sent after it.
    pub(crate) fn cut_off(&self) {
        let mut subscribers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers.iter_mut().for_each(|subscriber| subscriber.cut_off());
        subscribers.clear();
    }
}
