//! The report of a training to its stage. Takes steps; gives metrics to the run's events, checkpoints to the cache, and a stop when the run is
//! cancelled.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use engine::Context;

use crate::train::{self, Memory, Step, Stop, TrainError, Watch, Write};

/// Reports every step, and stops the training when the run is cancelled.
pub(super) struct Report {
    ctx: Context,
    /// The time at which this run's first step was done, and the number of tokens by then.
    first: Option<(Instant, f64)>,
    /// The time at which the state was saved last.
    saved: Instant,
    /// Steps between two saves [default: as many as take a minute].
    save_steps: Option<usize>,
    /// Metrics of the last step.
    pub(super) last: BTreeMap<String, f64>,
    /// Metrics of the last evaluation; empty if there was none.
    pub(super) evaluated: BTreeMap<String, f64>,
    /// Planned number of steps.
    pub(super) steps: usize,
}

/// Time between two saves, if no number of steps is set.
const SAVED_EVERY: Duration = Duration::from_mins(1);

impl Report {
    pub(super) fn new(ctx: &Context, save_steps: Option<usize>) -> Self {
        let (last, evaluated) = (BTreeMap::new(), BTreeMap::new());
        Self { ctx: ctx.clone(), first: None, saved: Instant::now(), save_steps, last, evaluated, steps: 0 }
    }

    /// Makes an empty scratch folder and removes what was in it.
    fn folder(&self, name: &str) -> std::io::Result<PathBuf> {
        let folder = self.ctx.scratch().join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

impl Watch for Report {
    fn step(&mut self, step: &Step) -> Result<(), Stop> {
        self.steps = step.steps;
        self.ctx.total(step.steps);
        self.ctx.figures(step);
        let figure = |name: &str| step.metrics.get(name).copied().unwrap_or(0.0);
        if self.first.is_none() {
            self.ctx.done(step.step - 1);
        }
        let (since, tokens) = *self.first.get_or_insert_with(|| (Instant::now(), figure("num_tokens")));
        self.ctx.tick(|| {
            let rate = (figure("num_tokens") - tokens) / since.elapsed().as_secs_f64();
            let rate = if rate.is_finite() { format!(", {rate:.0} tokens/s") } else { String::new() };
            let peak = train::used("VmHWM:").map_or_else(String::new, |bytes| format!(", peak {} MiB", bytes >> 20));
            format!("loss {:.3}{rate}{peak}", figure("loss"))
        });
        self.last.clone_from(&step.metrics);
        self.ctx.check().map_err(|_| Stop)
    }

    fn evaluated(&mut self, evaluation: &Step) {
        self.ctx.figures(evaluation);
        self.evaluated.clone_from(&evaluation.metrics);
    }

    fn memory(&mut self, memory: &Memory) {
        self.ctx.say(format!("memory: about {memory}"));
    }

    fn warn(&mut self, message: &str) {
        self.ctx.warn(message);
    }

    fn resume(&mut self) -> Result<Option<PathBuf>, TrainError> {
        let folder = self.folder("resumed").map_err(|error| TrainError::Unkept(error.into()))?;
        let step = self.ctx.latest_checkpoint(&folder).map_err(|error| TrainError::Unkept(error.into()))?;
        Ok(step.map(|_| folder))
    }

    fn save(&mut self, step: usize, write: Write<'_>) -> Result<(), TrainError> {
        let due = match self.save_steps {
            Some(every) => step.is_multiple_of(every.max(1)),
            None => self.saved.elapsed() >= SAVED_EVERY,
        };
        if !due {
            return Ok(());
        }
        let folder = self.folder("saved").map_err(|error| TrainError::Unkept(error.into()))?;
        write(&folder)?;
        self.ctx.checkpoint(step as u64, &folder).map_err(|error| TrainError::Unkept(error.into()))?;
        self.saved = Instant::now();
        Ok(())
    }
}
