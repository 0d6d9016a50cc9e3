//! The run of one stage. Takes a stage whose inputs exist; gives its recorded result, or the one that another process recorded meanwhile.

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use cache::{Key, Output, Preimage, StageLock, StageResult};

use crate::{
    contract::{
        context::{Context, Resume},
        error::StageError,
    },
    resolve::Pipeline,
};

/// A stage that is about to run.
pub(super) struct Task {
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) context: Context,
    pub(super) stage: usize,
    pub(super) preimage: Preimage,
    pub(super) inputs: BTreeMap<String, Output>,
    /// Whether a result that is cached already does not count.
    pub(super) fresh: bool,
    pub(super) run: String,
}

/// How a stage came to its result.
pub(super) enum End {
    Ran {
        result: StageResult,
        reused: u64,
        unchanged: bool,
    },
    /// Another process had recorded the result by the time it was this one's turn.
    Found(StageResult),
}

/// Why a stage failed.
pub(crate) enum Failure {
    /// The stage returned an error.
    Stage(StageError),
    /// The stage's code panicked, which is a bug.
    Panic(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stage(error) => error.fmt(out),
            Self::Panic(message) => write!(out, "a bug in fingerpost: {message}"),
        }
    }
}

/// The time between two tries for a stage that another process is running.
const WAIT: Duration = Duration::from_millis(50);

enum Turn {
    Ours(StageLock),
    Found(StageResult),
}

impl Task {
    /// Runs the stage when it is this process's turn.
    pub(super) async fn run(self, key: Key) -> Result<End, Failure> {
        let _lock = match self.turn(&key).await.map_err(Failure::Stage)? {
            Turn::Ours(lock) => lock,
            Turn::Found(result) => return Ok(End::Found(result)),
        };
        self.context.set_resume(Resume { key, anew: self.fresh });
        let runtime = tokio::runtime::Handle::current();
        // The stage gets a thread of its own, because it may block, and training does for minutes.
        let work = tokio::task::spawn_blocking(move || runtime.block_on(self.work()));
        match work.await {
            Ok(end) => end.map_err(Failure::Stage),
            Err(error) => Err(Failure::Panic(panic_message(error))),
        }
    }

    /// Waits until no other process runs this key, or until one has recorded its result.
    async fn turn(&self, key: &Key) -> Result<Turn, StageError> {
        let cache = self.context.store().cache();
        loop {
            let lock = cache.try_lock(key)?;
            if !self.fresh
                && let Some(result) = cache.result(key)?
            {
                return Ok(Turn::Found(result));
            }
            match lock {
                Some(lock) => return Ok(Turn::Ours(lock)),
                None => tokio::time::sleep(WAIT).await,
            }
            self.context.check()?;
        }
    }

    async fn work(self) -> Result<End, StageError> {
        let started = Instant::now();
        let stage = &self.pipeline.stages[self.stage];
        for file in stage.files() {
            file.keep(self.context.store())?;
        }
        let outputs = stage.kind.run(&self.context, &stage.settled, self.inputs).await;
        self.context.sum_warnings();
        let outputs = outputs?;
        let (calls, reused) = self.context.counts();
        let result = StageResult { outputs, seconds: started.elapsed().as_secs_f64(), calls, run: self.run };
        let cache = self.context.store().cache();
        let manifest = &self.pipeline.manifest.name;
        let before = match cache.last(manifest, &stage.name)? {
            // It only says whether anything changed, so one that cannot be read counts as different.
            Some(last) => cache.result(&last).unwrap_or(None),
            None => None,
        };
        cache.record(&self.preimage, &result, manifest, &stage.name)?;
        let unchanged = before.is_some_and(|before| before.outputs == result.outputs);
        Ok(End::Ran { result, reused, unchanged })
    }
}

fn panic_message(error: tokio::task::JoinError) -> String {
    match error.try_into_panic() {
        Ok(payload) => payload
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "a panic without words".to_owned()),
        Err(error) => error.to_string(),
    }
}
