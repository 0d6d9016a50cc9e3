//! Plan → results: every wanted stage decided as soon as all above it is known, and run beside the others.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use cache::{Key, Output, Preimage, StageLock, StageResult};
use tokio::task::JoinSet;

use crate::{
    context::{Context, Shared},
    error::StageError,
    event::Event,
    plan::{self, Decision, Reason, Request},
    resolve::{Pipeline, Wire},
};

/// How a run ended.
pub(crate) struct Outcome {
    pub(crate) ran: usize,
    pub(crate) cached: usize,
    pub(crate) calls: u64,
    pub(crate) saved_seconds: f64,
    /// The stages that failed, by name, in the order in which they did.
    pub(crate) failures: Vec<(String, Failure)>,
}

/// Why a stage failed.
pub(crate) enum Failure {
    /// The stage says so.
    Stage(StageError),
    /// The stage's code broke off: a bug.
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

/// Between two tries for a stage that another process is running.
const WAIT: Duration = Duration::from_millis(50);

enum State {
    Waiting,
    Running,
    Done(StageResult),
    Failed,
}

struct Finished {
    stage: usize,
    key: Key,
    end: Result<End, Failure>,
}

enum End {
    Ran {
        result: StageResult,
        reused: u64,
        unchanged: bool,
    },
    /// Another process had it by the time it was this one's turn.
    Found(StageResult),
}

/// Runs what has to be run. Errors: the cache cannot be read or written.
pub(crate) async fn execute(
    pipeline: &Arc<Pipeline>,
    request: &Request,
    shared: &Arc<Shared>,
    run: &str,
) -> Result<Outcome, StageError> {
    let mut scheduler = Scheduler {
        pipeline,
        request,
        shared,
        run,
        states: pipeline.stages.iter().map(|_| State::Waiting).collect(),
        hits: Vec::new(),
        again: BTreeSet::new(),
        tasks: JoinSet::new(),
        outcome: Outcome { ran: 0, cached: 0, calls: 0, saved_seconds: 0.0, failures: Vec::new() },
    };
    loop {
        scheduler.start()?;
        let Some(finished) = scheduler.tasks.join_next().await else { break };
        let finished = finished.map_err(|error| StageError::failed(format!("a stage's task was lost: {error}")))?;
        scheduler.end(finished);
    }
    let hits: Vec<_> =
        scheduler.hits.iter().map(|(key, stage)| (*key, pipeline.manifest.name.as_str(), stage.as_str())).collect();
    shared.store.cache().used(&hits)?;
    Ok(scheduler.outcome)
}

struct Scheduler<'a> {
    pipeline: &'a Arc<Pipeline>,
    request: &'a Request,
    shared: &'a Arc<Shared>,
    run: &'a str,
    states: Vec<State>,
    hits: Vec<(Key, String)>,
    /// Hits that turned out to be damaged, to be run again.
    again: BTreeSet<usize>,
    tasks: JoinSet<Finished>,
    outcome: Outcome,
}

impl Scheduler<'_> {
    /// Starts every stage that can be, until what is left waits for a running one.
    fn start(&mut self) -> Result<(), StageError> {
        loop {
            let mut changed = false;
            for &stage in &self.pipeline.order {
                if !self.request.wants(stage) || !matches!(self.states[stage], State::Waiting) {
                    continue;
                }
                let producers: Vec<_> = self.pipeline.stages[stage].producers().collect();
                if let Some(&failed) = producers.iter().find(|producer| matches!(self.states[**producer], State::Failed)) {
                    self.states[stage] = State::Failed;
                    self.shared.events.send(&Event::StageSkipped { stage: self.name(stage), after: self.name(failed) });
                    changed = true;
                } else if producers.iter().all(|producer| matches!(self.states[*producer], State::Done(_))) {
                    changed |= self.decide(stage)?;
                }
            }
            if !changed {
                return Ok(());
            }
        }
    }

    /// Takes a stage's result from the cache or starts it. Returns whether others may be able to start now.
    fn decide(&mut self, stage: usize) -> Result<bool, StageError> {
        let resolved = &self.pipeline.stages[stage];
        let inputs = plan::inputs(resolved, |producer| match &self.states[producer] {
            State::Done(result) => Some(result),
            _ => None,
        })?;
        let cache = self.shared.store.cache();
        match plan::decide(self.pipeline, stage, &inputs, cache, self.request)? {
            Decision::Hit { key, result } if !self.again.contains(&stage) => {
                self.cached(stage, key, result);
                Ok(true)
            }
            Decision::Later { .. } => Ok(false),
            _ if self.shared.cancellation.is_cancelled() => {
                self.states[stage] = State::Failed;
                self.outcome.failures.push((self.name(stage), Failure::Stage(StageError::Cancelled)));
                Ok(true)
            }
            decision => {
                if self.damaged(stage, &inputs)? {
                    return Ok(true);
                }
                let (key, preimage, why) = match decision {
                    Decision::Run { key, preimage, why } => (key, preimage, why),
                    Decision::Hit { key, .. } => {
                        let preimage = cache.preimage(&key)?.ok_or_else(|| StageError::failed("a result has no preimage"))?;
                        (key, preimage, vec![Reason::Evicted])
                    }
                    Decision::Later { .. } => return Ok(false),
                };
                self.spawn(stage, key, preimage, inputs, &why)?;
                Ok(false)
            }
        }
    }

    /// Sends the producers of damaged inputs back to be run again.
    fn damaged(&mut self, stage: usize, inputs: &BTreeMap<String, Output>) -> Result<bool, StageError> {
        let mut found = false;
        for (port, wire) in &self.pipeline.stages[stage].wires {
            let (Wire::Stage { stage: producer, .. }, Some(output)) = (wire, inputs.get(port)) else { continue };
            if self.shared.store.cache().check_output(output)? {
                continue;
            }
            let message =
                format!("the result of `{}` was damaged in the cache: it is set aside and made again", self.name(*producer));
            self.shared.events.send(&Event::Warning { stage: Some(self.name(*producer)), message });
            if matches!(self.states[*producer], State::Done(_)) {
                self.states[*producer] = State::Waiting;
                self.again.insert(*producer);
            }
            found = true;
        }
        Ok(found)
    }

    fn spawn(
        &mut self,
        stage: usize,
        key: Key,
        preimage: Preimage,
        inputs: BTreeMap<String, Output>,
        why: &[Reason],
    ) -> Result<(), StageError> {
        let resolved = &self.pipeline.stages[stage];
        self.shared.events.send(&Event::StageStarted {
            stage: resolved.name.clone(),
            kind: resolved.kind.name().to_owned(),
            key: key.to_string(),
            why: why.iter().map(ToString::to_string).collect(),
        });
        self.states[stage] = State::Running;
        let rebuy = self.request.rebought.contains(&stage);
        let task = Task {
            pipeline: Arc::clone(self.pipeline),
            context: Context::new(Arc::clone(self.shared), &resolved.name, rebuy)?,
            stage,
            preimage,
            inputs,
            fresh: self.request.forced.contains(&stage) || self.again.contains(&stage),
            run: self.run.to_owned(),
        };
        self.tasks.spawn(async move {
            let end = task.run(key).await;
            Finished { stage, key, end }
        });
        Ok(())
    }

    fn cached(&mut self, stage: usize, key: Key, result: StageResult) {
        self.shared.events.send(&Event::StageCached {
            stage: self.name(stage),
            kind: self.pipeline.stages[stage].kind.name().to_owned(),
            key: key.to_string(),
            rows: rows(&result),
            seconds: result.seconds,
            calls: result.calls,
        });
        self.outcome.cached += 1;
        self.outcome.saved_seconds += result.seconds;
        self.hits.push((key, self.name(stage)));
        self.states[stage] = State::Done(result);
    }

    fn end(&mut self, finished: Finished) {
        let Finished { stage, key, end } = finished;
        let (name, kind) = (self.name(stage), self.pipeline.stages[stage].kind.name().to_owned());
        match end {
            Ok(End::Found(result)) => self.cached(stage, key, result),
            Ok(End::Ran { result, reused, unchanged }) => {
                self.shared.events.send(&Event::StageFinished {
                    stage: name.clone(),
                    kind,
                    key: key.to_string(),
                    rows: rows(&result),
                    seconds: result.seconds,
                    calls: result.calls,
                    reused,
                    unchanged,
                });
                self.outcome.ran += 1;
                self.outcome.calls += result.calls;
                self.states[stage] = State::Done(result);
            }
            Err(failure) => {
                let help = match &failure {
                    Failure::Stage(StageError::Failed { help, .. }) => help.clone(),
                    _ => None,
                };
                self.shared.events.send(&Event::StageFailed { stage: name.clone(), kind, message: failure.to_string(), help });
                self.outcome.failures.push((name, failure));
                self.states[stage] = State::Failed;
            }
        }
    }

    fn name(&self, stage: usize) -> String {
        self.pipeline.stages[stage].name.clone()
    }
}

/// A stage on its way.
struct Task {
    pipeline: Arc<Pipeline>,
    context: Context,
    stage: usize,
    preimage: Preimage,
    inputs: BTreeMap<String, Output>,
    /// A result that is there already does not count.
    fresh: bool,
    run: String,
}

impl Task {
    async fn run(self, key: Key) -> Result<End, Failure> {
        let _lock = match self.turn(&key).await.map_err(Failure::Stage)? {
            Turn::Ours(lock) => lock,
            Turn::Found(result) => return Ok(End::Found(result)),
        };
        let runtime = tokio::runtime::Handle::current();
        // A thread of its own: stages may block, and training does for minutes.
        let work = tokio::task::spawn_blocking(move || runtime.block_on(self.work()));
        match work.await {
            Ok(end) => end.map_err(Failure::Stage),
            Err(error) => Err(Failure::Panic(panic_message(error))),
        }
    }

    /// Waits until no other process runs this key.
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
        let outputs = stage.kind.run(&self.context, &stage.settled, self.inputs).await?;
        let (calls, reused) = self.context.counts();
        let result = StageResult { outputs, seconds: started.elapsed().as_secs_f64(), calls, run: self.run };
        let cache = self.context.store().cache();
        let manifest = &self.pipeline.manifest.name;
        let before = match cache.last(manifest, &stage.name)? {
            Some(last) => cache.result(&last)?,
            None => None,
        };
        cache.record(&self.preimage, &result, manifest, &stage.name)?;
        let unchanged = before.is_some_and(|before| before.outputs == result.outputs);
        Ok(End::Ran { result, reused, unchanged })
    }
}

enum Turn {
    Ours(StageLock),
    Found(StageResult),
}

fn rows(result: &StageResult) -> Option<u64> {
    result.outputs.values().filter_map(|output| output.rows).max()
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
