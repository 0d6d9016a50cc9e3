//! Plan → results: every wanted stage decided as soon as all above it is known, and run beside the others.

mod task;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use cache::{Key, Output, Preimage, StageResult};
use tokio::task::JoinSet;

use crate::{
    budget::Spent,
    contract::{
        context::{Context, Shared},
        error::StageError,
    },
    event::Event,
    plan::{self, Decision, Reason, Request},
    resolve::{Pipeline, Wire},
};
pub(crate) use task::Failure;
use task::{End, Task};

/// How a run ended.
pub(crate) struct Outcome {
    pub(crate) ran: usize,
    pub(crate) cached: usize,
    pub(crate) calls: u64,
    pub(crate) spent: Spent,
    pub(crate) saved_seconds: f64,
    /// The stages that failed, by name, in the order in which they did.
    pub(crate) failures: Vec<(String, Failure)>,
}

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
        outcome: Outcome { ran: 0, cached: 0, calls: 0, spent: Spent::default(), saved_seconds: 0.0, failures: Vec::new() },
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
                self.outcome.failures.push((self.name(stage), Failure::Stage(StageError::cancelled())));
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
            context: Context::new(Arc::clone(self.shared), &resolved.name, rebuy, resolved.budget)?,
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
            Ok(End::Ran { result, reused, spent, unchanged }) => {
                self.shared.events.send(&Event::StageFinished {
                    stage: name.clone(),
                    kind,
                    key: key.to_string(),
                    rows: rows(&result),
                    seconds: result.seconds,
                    calls: result.calls,
                    reused,
                    spent,
                    unchanged,
                });
                self.outcome.ran += 1;
                self.outcome.calls += result.calls;
                self.outcome.spent += spent;
                self.states[stage] = State::Done(result);
            }
            Err(failure) => {
                let help = match &failure {
                    Failure::Stage(error) => error.help.clone(),
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

fn rows(result: &StageResult) -> Option<u64> {
    result.outputs.values().filter_map(|output| output.rows).max()
}
