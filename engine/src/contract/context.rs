//! What a running stage may reach: progress, cancellation, scratch space, services. It never reaches the store's content by digest.

use std::{
    any::{Any, TypeId},
    borrow::Cow,
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use cache::{Digest, Key};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{
    error::StageError,
    forecast::Forecast,
    section::{Section, Sections},
};
use crate::{
    budget::{Budget, Experience, Limit, Lost, Receipt, Spent},
    environment::Environment,
    event::{Event, Events},
    flights::Flights,
    store::Store,
};

/// Handles that change no result (a pool of connections, a device), by type.
#[derive(Clone, Default)]
pub struct Services(BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl Services {
    /// Adds a service, in the place of one of the same type.
    #[must_use]
    pub fn with<S: Any + Send + Sync>(mut self, service: S) -> Self {
        self.0.insert(TypeId::of::<S>(), Arc::new(service));
        self
    }
}

/// Asks what a run may spend before a stage pays. Takes the stage's name and what it would buy; gives the budget, or `None` for nothing.
pub(crate) type AskBudget = Arc<dyn Fn(&str, &Forecast, &CancellationToken) -> Option<Limit> + Send + Sync>;

/// What all stages of a run share.
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) events: Events,
    pub(crate) services: Services,
    pub(crate) flights: Flights,
    pub(crate) budget: Budget,
    /// What calls may cost, from what earlier ones did cost.
    pub(crate) experience: Experience,
    pub(crate) cancellation: CancellationToken,
    /// The manifest's blocks beside the stages.
    pub(crate) sections: Sections,
    /// Variables that hold keys.
    pub(crate) environment: Environment,
    /// Asks a person for a budget, where one watches the run.
    pub(crate) ask: Option<AskBudget>,
    /// The run's name.
    pub(crate) run: String,
    /// The folder of its record; `None` where nothing runs.
    pub(crate) record: Option<PathBuf>,
}

/// Where a running stage's checkpoints belong.
#[derive(Clone, Copy)]
pub(crate) struct Resume {
    pub(crate) key: Key,
    /// Whether the stage starts from the beginning, whatever an earlier run left.
    pub(crate) anew: bool,
}

/// Which cached replies a stage uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// All.
    #[default]
    All,
    /// Those that last: failures are asked for again.
    Lasting,
    /// None: every reply is bought again.
    Nothing,
}

/// A receipt with what it is for, as the cache keeps it.
#[derive(Serialize, Deserialize)]
pub(crate) struct KeptReceipt<'a> {
    #[serde(flatten)]
    pub(crate) receipt: Cow<'a, Receipt>,
    pub(crate) unit: String,
    pub(crate) run: String,
    pub(crate) stage: String,
    /// What the call was expected to cost at most, in nano-dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at_most: Option<u64>,
    /// Why there is no reply to a call that may have been paid for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lost: Option<Cow<'a, str>>,
}

/// One stage's view of the run.
#[derive(Clone)]
pub struct Context(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    stage: String,
    reuse: Reuse,
    budget: Budget,
    /// Cancelled to end the stage: with the run, or after a failure of its own.
    stop: CancellationToken,
    scratch: tempfile::TempDir,
    /// Set where the stage runs, and not where it is only planned or tried.
    resume: OnceLock<Resume>,
    done: AtomicU64,
    total: AtomicU64,
    calls: AtomicU64,
    reused: AtomicU64,
    unpriced: AtomicU64,
    lost: Mutex<Lost>,
    told: Mutex<Option<Instant>>,
    /// How often each warning came.
    warned: Mutex<BTreeMap<String, u64>>,
}

fn digests(texts: &[String]) -> Result<Vec<Digest>, StageError> {
    texts.iter().map(|text| text.parse().map_err(StageError::failed)).collect()
}

/// The shortest time between two progress events of a stage.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

impl Context {
    pub(crate) fn new(shared: Arc<Shared>, stage: &str, reuse: Reuse, limit: Limit) -> Result<Self, StageError> {
        let scratch = tempfile::Builder::new().prefix("fingerpost-").tempdir()?;
        Ok(Self(Arc::new(Inner {
            stop: shared.cancellation.child_token(),
            warned: Mutex::default(),
            shared,
            stage: stage.to_owned(),
            reuse,
            budget: Budget::new(limit),
            scratch,
            resume: OnceLock::new(),
            done: AtomicU64::new(0),
            total: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            reused: AtomicU64::new(0),
            unpriced: AtomicU64::new(0),
            lost: Mutex::default(),
            told: Mutex::new(None),
        })))
    }

    /// Returns the service of this type, where the program has one.
    pub fn service<S: Any + Send + Sync>(&self) -> Option<&S> {
        self.0.shared.services.0.get(&TypeId::of::<S>()).and_then(|service| service.downcast_ref())
    }

    /// Returns a block of the manifest, for what changes no result. What changes a result has to be in the stage's params.
    pub fn section<S: Section>(&self) -> Arc<S> {
        self.0.shared.sections.get()
    }

    /// Returns an environment variable, or its value in `.env` beside the manifest.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.0.shared.environment.get(name)
    }

    /// Returns what was first written under a name, in this run or an earlier one, and writes `value` where there is nothing.
    ///
    /// # Errors
    /// The cache cannot be written.
    pub fn pin(&self, name: &str, value: &str) -> Result<String, StageError> {
        Ok(self.store().cache().pin(name, value)?)
    }

    /// Returns what [`Context::pin`] wrote under a name.
    ///
    /// # Errors
    /// The cache cannot be read.
    pub fn pinned(&self, name: &str) -> Result<Option<String>, StageError> {
        Ok(self.store().cache().pinned(name)?)
    }

    /// Returns the batch job that each unit was last submitted in, by this run or an earlier one. The units are given by their digests.
    ///
    /// # Errors
    /// A text is not a digest, or the cache cannot be read.
    pub fn submitted(&self, units: &[String]) -> Result<Vec<Option<String>>, StageError> {
        if self.rebuys() {
            return Ok(vec![None; units.len()]);
        }
        Ok(self.store().cache().submitted(&digests(units)?)?)
    }

    /// Records that units are about to be submitted in a batch job. Their replies come later, to whoever asks for them then.
    ///
    /// # Errors
    /// A text is not a digest, or the cache cannot be written.
    pub fn submit(&self, units: &[String], job: &str) -> Result<(), StageError> {
        Ok(self.store().cache().submit(&digests(units)?, job)?)
    }

    /// Sets how many pieces of work there are.
    pub fn total(&self, total: usize) {
        self.0.total.store(total as u64, Ordering::Relaxed);
    }

    /// Sets how many pieces an earlier run did already.
    pub fn done(&self, done: usize) {
        self.0.done.store(done as u64, Ordering::Relaxed);
    }

    /// Counts one more piece as done; `note` is shown beside the progress bar.
    pub fn tick(&self, note: impl FnOnce() -> String) {
        let done = self.0.done.fetch_add(1, Ordering::Relaxed) + 1;
        let mut told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|at| at.elapsed() >= PROGRESS_EVERY) {
            *told = Some(Instant::now());
            self.send(&Event::Progress {
                stage: self.0.stage.clone(),
                done,
                total: self.0.total.load(Ordering::Relaxed),
                note: note(),
            });
        }
    }

    /// Reports figures while the stage runs, such as those of a training step.
    pub fn figures(&self, figures: &impl Serialize) {
        // Nothing depends on figures: what cannot be written as JSON is left out.
        if let Ok(figures) = serde_json::to_value(figures) {
            self.send(&Event::Figures { stage: self.0.stage.clone(), figures });
        }
    }

    /// Reports in a sentence what came out.
    pub fn say(&self, message: impl Into<String>) {
        self.send(&Event::Note { stage: self.0.stage.clone(), message: message.into() });
    }

    /// Reports something that a person should know. Equal warnings are reported once, and counted.
    pub fn warn(&self, message: impl Into<String>) {
        let message = message.into();
        let mut warned = self.0.warned.lock().unwrap_or_else(PoisonError::into_inner);
        let count = warned.entry(message.clone()).or_default();
        *count += 1;
        if *count == 1 {
            self.send(&Event::Warning { stage: Some(self.0.stage.clone()), message });
        }
    }

    /// Reports how often each warning came that came more than once.
    pub(crate) fn sum_warnings(&self) {
        let warned = std::mem::take(&mut *self.0.warned.lock().unwrap_or_else(PoisonError::into_inner));
        for (message, count) in warned.into_iter().filter(|(_, count)| *count > 1) {
            let message = format!("{message} (and {} more)", count - 1);
            self.send(&Event::Warning { stage: Some(self.0.stage.clone()), message });
        }
    }

    /// Returns an error once the run is to stop. Stages call it where they can safely stop.
    ///
    /// # Errors
    /// The run is to stop.
    pub fn check(&self) -> Result<(), StageError> {
        if self.0.stop.is_cancelled() { Err(StageError::cancelled()) } else { Ok(()) }
    }

    /// Returns the token that is cancelled when the stage is to stop.
    pub fn cancellation(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// Stops the stage after a failure: running calls end, and no further one is made.
    pub(crate) fn stop(&self) {
        self.0.stop.cancel();
    }

    /// Returns an empty folder that is removed with the context.
    pub fn scratch(&self) -> &Path {
        self.0.scratch.path()
    }

    /// Creates an empty folder that stays with the run's record, for what a failing stage leaves to a person. `None` where nothing runs.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub fn leave(&self, name: &str) -> Result<Option<PathBuf>, StageError> {
        let Some(record) = &self.0.shared.record else { return Ok(None) };
        let folder = std::path::absolute(record)?.join(&self.0.stage).join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(Some(folder))
    }

    /// Sets the key under which the stage's checkpoints are stored.
    pub(crate) fn set_resume(&self, resume: Resume) {
        self.0.resume.get_or_init(|| resume);
    }

    pub(crate) fn resume(&self) -> Option<Resume> {
        self.0.resume.get().copied()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.shared.store
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0.shared
    }

    pub(crate) fn rebuys(&self) -> bool {
        self.0.reuse == Reuse::Nothing
    }

    /// Returns whether a reply may be used that was kept, although its kind is not kept now.
    pub(crate) fn reuses_errors(&self) -> bool {
        self.0.reuse == Reuse::All
    }

    pub(crate) fn count(&self, called: bool) {
        let counter = if called { &self.0.calls } else { &self.0.reused };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the stage's own budget.
    pub(crate) fn budget(&self) -> &Budget {
        &self.0.budget
    }

    /// Counts a reply that was paid for at an unknown price.
    pub(crate) fn count_unpriced(&self) {
        self.0.unpriced.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a call that may have been paid for and gave no reply. `None`: at an unknown price.
    pub(crate) fn count_lost(&self, at_most: Option<u64>) {
        *self.0.lost.lock().unwrap_or_else(PoisonError::into_inner) += Lost::one(at_most);
    }

    /// Returns what the stage's calls cost, as far as their prices are known.
    pub(crate) fn spent(&self) -> Spent {
        Spent {
            nano_dollars: self.0.budget.spent(),
            unpriced: self.0.unpriced.load(Ordering::Relaxed),
            lost: *self.0.lost.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Returns a receipt as the cache keeps it: with what was expected at most, and why there is no reply where there is none.
    pub(crate) fn receipt(
        &self,
        receipt: &Receipt,
        unit: Digest,
        at_most: Option<u64>,
        lost: Option<&str>,
    ) -> Result<Vec<u8>, StageError> {
        let kept = KeptReceipt {
            receipt: Cow::Borrowed(receipt),
            unit: unit.to_string(),
            run: self.0.shared.run.clone(),
            stage: self.0.stage.clone(),
            at_most,
            lost: lost.map(Cow::Borrowed),
        };
        serde_json::to_vec(&kept).map_err(StageError::failed)
    }

    /// Returns how many calls were made and how many replies were reused so far.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.0.calls.load(Ordering::Relaxed), self.0.reused.load(Ordering::Relaxed))
    }

    fn send(&self, event: &Event) {
        self.0.shared.events.send(event);
    }
}
