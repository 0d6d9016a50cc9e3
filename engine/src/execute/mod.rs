//! Execution. Takes a plan; gives results: every wanted stage is decided as soon as its producers are done, and runs beside the others.
//!
//! Read this file (which stage starts when, and what follows from its end), then `task` (how one stage runs, and how its result is
//! recorded).

mod task;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    num::NonZeroUsize,
    sync::Arc,
};

use cache::{Key, Output, Preimage, StageResult};
use tokio::task::JoinSet;

use crate::{
    budget::{Limit, Spent},
    contract::{
        context::{Context, Shared},
        error::{Blame, StageError},
    },
    event::Event,
    plan::{self, Decision, Plan, Reason, Request},
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
    /// The stages that failed, by name, in the order in which they failed.
    pub(crate) failures: Vec<(String, Failure)>,
    /// Stages that a signal stopped while they ran.
    pub(crate) stopped: usize,
    /// Whether a signal kept a stage from ending or from starting.
    pub(crate) interrupted: bool,
}

enum State {
    Waiting,
    /// It runs as soon as fewer than `jobs` stages run.
    Ready,
    Running,
    Done(StageResult),
    Failed,
    /// It, or an upstream stage, was stopped by a signal.
    Stopped,
}

/// A stage that could run, and waits until fewer than `jobs` stages run.
struct Ready {
    stage: usize,
    key: Key,
    preimage: Preimage,
    inputs: BTreeMap<String, Output>,
    why: Vec<Reason>,
}

struct Finished {
    stage: usize,
    key: Key,
    end: Result<End, Failure>,
    calls: u64,
    spent: Spent,
}

/// Carries out a plan, at most `jobs` stages at once. What the plan could not decide is decided as soon as its inputs exist.
///
/// # Errors
/// The cache cannot be read or written.
pub(crate) async fn execute(
    plan: Plan,
    pipeline: &Arc<Pipeline>,
    request: &Request,
    shared: &Arc<Shared>,
    run: &str,
    jobs: NonZeroUsize,
) -> Result<Outcome, StageError> {
    let mut scheduler = Scheduler {
        planned: used(plan, pipeline, shared)?,
        pipeline,
        request,
        shared,
        run,
        states: pipeline.stages.iter().map(|_| State::Waiting).collect(),
        hits: Vec::new(),
        again: BTreeSet::new(),
        ready: VecDeque::new(),
        jobs: jobs.get(),
        asked: false,
        tasks: JoinSet::new(),
        outcome: Outcome {
            ran: 0,
            cached: 0,
            calls: 0,
            spent: Spent::default(),
            saved_seconds: 0.0,
            failures: Vec::new(),
            stopped: 0,
            interrupted: false,
        },
    };
    loop {
        scheduler.start()?;
        scheduler.launch().await?;
        let Some(finished) = scheduler.tasks.join_next().await else { break };
        let finished = finished.map_err(|error| StageError::failed(format!("a stage's task was lost: {error}")))?;
        scheduler.end(finished);
    }
    if scheduler.outcome.ran > 0 {
        // A long run has used its hits until now.
        let hits = scheduler.hits.iter().map(|(key, stage)| (*key, pipeline.manifest.name.as_str(), stage.as_str()));
        shared.store.cache().used(&hits.collect::<Vec<_>>())?;
    }
    Ok(scheduler.outcome)
}

/// Records that the plan's hits are used now, so that nobody collects them while the run goes on. Where one was collected since it was
/// planned, all stages are decided again.
fn used(plan: Plan, pipeline: &Pipeline, shared: &Shared) -> Result<BTreeMap<usize, Decision>, StageError> {
    let mut planned: BTreeMap<_, _> = plan.stages.into_iter().map(|planned| (planned.stage, planned.decision)).collect();
    let hits = planned.iter().filter_map(|(stage, decision)| match decision {
        Decision::Hit { key, .. } => Some((*key, pipeline.manifest.name.as_str(), pipeline.stages[*stage].name.as_str())),
        Decision::Run { .. } | Decision::Later { .. } => None,
    });
    if !shared.store.cache().used(&hits.collect::<Vec<_>>())? {
        planned.clear();
    }
    Ok(planned)
}

struct Scheduler<'a> {
    /// The plan's decisions that are still to be carried out.
    planned: BTreeMap<usize, Decision>,
    pipeline: &'a Arc<Pipeline>,
    request: &'a Request,
    shared: &'a Arc<Shared>,
    run: &'a str,
    states: Vec<State>,
    hits: Vec<(Key, String)>,
    /// Stages whose result turned out to be damaged, to be run again.
    again: BTreeSet<usize>,
    ready: VecDeque<Ready>,
    jobs: usize,
    /// Whether a person has been asked for a budget.
    asked: bool,
    tasks: JoinSet<Finished>,
    outcome: Outcome,
}

impl Scheduler<'_> {
    /// Starts every stage that can start, until all that are left wait for a running one.
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
                } else if producers.iter().any(|producer| matches!(self.states[*producer], State::Stopped)) {
                    self.states[stage] = State::Stopped;
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
        let decision = match self.planned.remove(&stage) {
            Some(decision @ (Decision::Hit { .. } | Decision::Run { .. })) => decision,
            // Its inputs did not exist when it was planned, or were damaged and have been made again.
            Some(Decision::Later { .. }) | None => self.decision(stage, &inputs)?,
        };
        match decision {
            Decision::Hit { key, result } if !self.again.contains(&stage) => {
                self.cached(stage, key, result);
                Ok(true)
            }
            Decision::Later { .. } => Ok(false),
            _ if self.shared.cancellation.is_cancelled() => {
                self.states[stage] = State::Stopped;
                self.outcome.interrupted = true;
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
                self.states[stage] = State::Ready;
                self.ready.push_back(Ready { stage, key, preimage, inputs, why });
                Ok(false)
            }
        }
    }

    /// Decides about a stage whose inputs exist by now. A hit is recorded as used, and decided again if it was collected before that.
    fn decision(&self, stage: usize, inputs: &BTreeMap<String, Output>) -> Result<Decision, StageError> {
        let cache = self.shared.store.cache();
        loop {
            let decision = plan::decide(self.pipeline, stage, inputs, cache, self.request)?;
            match &decision {
                Decision::Hit { key, .. } if !cache.used(&[(*key, &self.pipeline.manifest.name, &self.name(stage))])? => {}
                _ => return Ok(decision),
            }
        }
    }

    /// Sends the producers of damaged inputs back to be run again. Returns whether an input is damaged.
    fn damaged(&mut self, stage: usize, inputs: &BTreeMap<String, Output>) -> Result<bool, StageError> {
        let mut found = false;
        for (port, wire) in &self.pipeline.stages[stage].wires {
            let (Wire::Stage { stage: producer, .. }, Some(output)) = (wire, inputs.get(port)) else { continue };
            if self.shared.store.cache().check_output(output)? {
                continue;
            }
            let message = format!(
                "the result of `{}` was damaged in the cache; it was set aside, and the stage runs again",
                self.name(*producer)
            );
            self.shared.events.send(&Event::Warning { stage: Some(self.name(*producer)), message });
            if matches!(self.states[*producer], State::Done(_)) {
                self.states[*producer] = State::Waiting;
                self.again.insert(*producer);
            }
            found = true;
        }
        Ok(found)
    }

    /// Starts ready stages while fewer than `jobs` run; after a signal none.
    async fn launch(&mut self) -> Result<(), StageError> {
        while self.tasks.len() < self.jobs
            && let Some(ready) = self.ready.pop_front()
        {
            self.ask_for_budget(&ready).await?;
            // The signal may have come in place of an answer.
            if self.shared.cancellation.is_cancelled() {
                self.states[ready.stage] = State::Stopped;
                self.outcome.interrupted = true;
            } else {
                self.spawn(ready)?;
            }
        }
        Ok(())
    }

    /// Asks a person for the run's budget before the first stage that pays, once.
    async fn ask_for_budget(&mut self, ready: &Ready) -> Result<(), StageError> {
        let resolved = &self.pipeline.stages[ready.stage];
        let Some(ask) = self.shared.ask.clone().filter(|_| !self.asked && self.shared.budget.is_unset()) else { return Ok(()) };
        if matches!(resolved.budget, Limit::AtMost(_)) || self.shared.cancellation.is_cancelled() {
            return Ok(());
        }
        let reuse = self.request.reuse(ready.stage);
        let context = Context::new(Arc::clone(self.shared), &resolved.name, reuse, resolved.budget)?;
        let forecast = resolved.kind.forecast(&context, &resolved.settled, ready.inputs.clone())?;
        if forecast.worst_nano_dollars == 0 && forecast.unpriced == 0 {
            return Ok(());
        }
        self.asked = true;
        let name = resolved.name.clone();
        let stop = self.shared.cancellation.clone();
        let answer = tokio::task::spawn_blocking(move || ask(&name, &forecast, &stop)).await;
        if let Some(limit) = answer.ok().flatten() {
            self.shared.budget.set(limit);
        }
        Ok(())
    }

    fn spawn(&mut self, Ready { stage, key, preimage, inputs, why }: Ready) -> Result<(), StageError> {
        let resolved = &self.pipeline.stages[stage];
        self.shared.events.send(&Event::StageStarted {
            stage: resolved.name.clone(),
            kind: resolved.kind.name().to_owned(),
            key: key.to_string(),
            why: why.iter().map(ToString::to_string).collect(),
        });
        self.states[stage] = State::Running;
        let reuse = self.request.reuse(stage);
        let task = Task {
            pipeline: Arc::clone(self.pipeline),
            context: Context::new(Arc::clone(self.shared), &resolved.name, reuse, resolved.budget)?,
            stage,
            preimage,
            inputs,
            fresh: self.request.forced.contains(&stage) || self.again.contains(&stage),
            run: self.run.to_owned(),
        };
        let context = task.context.clone();
        self.tasks.spawn(async move {
            let end = task.run(key).await;
            let (calls, _) = context.counts();
            Finished { stage, key, end, calls, spent: context.spent() }
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
        let Finished { stage, key, end, calls, spent } = finished;
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
                    calls,
                    reused,
                    spent,
                    unchanged,
                });
                self.outcome.ran += 1;
                self.states[stage] = State::Done(result);
            }
            Err(Failure::Stage(error)) if error.blame == Blame::Cancelled => {
                self.shared.events.send(&Event::StageStopped { stage: name, kind, calls, spent });
                self.outcome.stopped += 1;
                self.outcome.interrupted = true;
                self.states[stage] = State::Stopped;
            }
            Err(failure) => {
                let help = match &failure {
                    Failure::Stage(error) => error.help.clone(),
                    Failure::Panic(_) => None,
                };
                let message = failure.to_string();
                self.shared.events.send(&Event::StageFailed { stage: name.clone(), kind, message, help, calls, spent });
                self.outcome.failures.push((name, failure));
                self.states[stage] = State::Failed;
            }
        }
        // What was bought counts, however the stage ended.
        self.outcome.calls += calls;
        self.outcome.spent += spent;
    }

    fn name(&self, stage: usize) -> String {
        self.pipeline.stages[stage].name.clone()
    }
}

fn rows(result: &StageResult) -> Option<u64> {
    result.outputs.values().filter_map(|output| output.rows).max()
}
