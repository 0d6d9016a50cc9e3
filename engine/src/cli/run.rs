//! The command `run`. Takes a manifest; runs every stage whose result is not cached, and gives the run's record.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use clap::Args;

use super::{
    Common, Format, ManifestArguments, budget, data,
    exit::{Exit, Failure},
    github, plan,
    select::Selection,
    signals, talk,
    terminal::Terminal,
};
use crate::{
    budget::Limit,
    contract::{
        context::{AskBudget, Shared},
        registry::Registry,
    },
    event::{Event, Events, Subscriber},
    execute::{self, Outcome, execute},
    plan::{Plan, Request, preflight},
    record::{JsonLines, Record},
    resolve::Pipeline,
    visible::visible,
};

/// Run every stage whose result is not cached
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Run {
    #[command(flatten)]
    manifest: ManifestArguments,
    #[command(flatten)]
    selection: Selection,
    /// The most that calls may cost, in dollars, or `none`
    #[arg(long, value_name = "USD")]
    budget: Option<Limit>,
    /// Run nothing: exit with 3 if something would run
    #[arg(long)]
    frozen: bool,
    /// Stages that run at once [default: one for each processor, and at least 4, since some wait for the network]
    #[arg(long, short, value_name = "N")]
    jobs: Option<NonZeroUsize>,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost run pipelines/quickstart.yaml
  fingerpost run simpleqa.yaml --budget 2.50          spend at most 2.50 dollars
  fingerpost run simpleqa.yaml verdicts               run up to one stage
  fingerpost run quickstart.yaml --set stages.dpo.with.beta=0.2

`fingerpost plan MANIFEST` shows what would run, why, and what it would cost.";

impl Run {
    pub(super) fn run(&self, common: &Common, registry: &Registry) -> Result<Exit, Failure> {
        let started = std::time::Instant::now();
        let pipeline = common.pipeline(&self.manifest, registry)?;
        let cache = common.open_cache()?;
        let request = self.selection.request(&pipeline)?;
        let planned = crate::plan::plan(&pipeline, &cache, &request)?;
        if self.frozen && !planned.is_fresh() {
            talk(&visible(&plan::text(&pipeline, &planned)));
            return Err(Failure::new(Exit::Stale, "something would run, and `--frozen` forbids it")
                .help("run without `--frozen`, and keep the cache"));
        }
        if !planned.is_fresh() {
            let help = "name a folder that can be written with `--cache`, or use what is cached with `--cache-mode read`, which stores nothing";
            cache.check_writable().map_err(|error| Failure::from(error).help(help))?;
        }
        let limit = self.budget.unwrap_or(Limit::Unset);
        let before = super::shared(registry, &pipeline, Arc::clone(&cache), Vec::new(), limit, None, None)?;
        let lacks = preflight(&planned, &pipeline, &before, &request)?;
        super::refuse(lacks.devices)?;
        if let Some((stage, unset)) = lacks.variables.into_iter().next() {
            let message = format!("`{}`: {}", pipeline.stages[stage].name, unset.message);
            return Err(Failure::new(Exit::Environment, message).help(unset.help));
        }
        let document = plan::document(&pipeline, &planned);
        let sets: Vec<_> = self.manifest.sets.iter().map(ToString::to_string).collect();
        let unwritten =
            |error| Failure::new(Exit::Environment, format!("`{}` cannot be written: {error}", common.runs.display()));
        let record = Record::start(&common.runs, &pipeline.manifest.source.file.text, &document, &sets).map_err(unwritten)?;
        let mut subscribers: Vec<Box<dyn Subscriber>> = vec![Box::new(record.subscriber().map_err(unwritten)?)];
        subscribers.extend(github::Summary::open().map(|summary| -> Box<dyn Subscriber> { Box::new(summary) }));
        let mut ask = None;
        let silent = common.quiet || common.format == Format::Json;
        match common.format {
            Format::Json => subscribers.push(Box::new(JsonLines::new(std::io::stdout(), false))),
            Format::Text | Format::Github if common.quiet => {}
            Format::Text | Format::Github => {
                let terminal = Terminal::new(common.color());
                ask = terminal.live().map(|live| -> AskBudget {
                    Arc::new(move |stage, forecast, stop| budget::ask(&live, stage, forecast, stop))
                });
                subscribers.push(Box::new(terminal));
            }
        }
        let shared = super::shared(registry, &pipeline, cache, subscribers, limit, ask, Some(&record))?;
        shared.events.send(&Event::RunStarted {
            run: record.name.clone(),
            manifest: pipeline.manifest.name.clone(),
            stages: planned.stages.len(),
        });
        let outcome = self.drive(planned, &pipeline, &request, &shared, &record.name, silent)?;
        let mut exit = exit(&outcome);
        // A disk without room for the record ends no run that pays, but a run without a complete record did not end well.
        let unwritten = record.unwritten().filter(|_| exit == Exit::Done).map(|error| {
            let folder = record.folder.display();
            Failure::new(Exit::Environment, format!("the record `{folder}` is incomplete: {error}"))
                .help("the run itself ended well; free some space before the next one")
        });
        if unwritten.is_some() {
            exit = Exit::Environment;
        }
        for damage in shared.store.cache().take_damage() {
            shared.events.send(&Event::Warning { stage: None, message: format!("the cache was damaged: {damage}") });
        }
        shared.events.send(&Event::RunFinished {
            run: record.name.clone(),
            manifest: pipeline.manifest.name.clone(),
            exit: exit as u8,
            ran: outcome.ran,
            cached: outcome.cached,
            failed: outcome.failures.len(),
            stopped: outcome.stopped,
            calls: outcome.calls,
            spent: outcome.spent,
            seconds: started.elapsed().as_secs_f64(),
            saved_seconds: outcome.saved_seconds,
        });
        if common.quiet && common.format != Format::Json {
            for (stage, failure) in &outcome.failures {
                talk(&format!("error: {}\n", github::inert(&visible(&format!("`{stage}` failed: {failure}")))));
            }
        }
        if github::is_here() || common.format == Format::Github {
            github::annotate(&pipeline, &outcome);
        }
        if common.format == Format::Json {
            data("")?;
        }
        unwritten.map_or(Ok(exit), Err)
    }

    fn drive(
        &self,
        plan: Plan,
        pipeline: &Arc<Pipeline>,
        request: &Request,
        shared: &Arc<Shared>,
        run: &str,
        silent: bool,
    ) -> Result<Outcome, Failure> {
        let runtime = super::runtime()?;
        runtime.spawn(signals::obey(shared.cancellation.clone(), shared.events.clone(), silent));
        runtime.spawn(beat(shared.events.clone()));
        let processors = || std::thread::available_parallelism().map_or(FEWEST_JOBS, |processors| processors.max(FEWEST_JOBS));
        let jobs = self.jobs.unwrap_or_else(processors);
        let outcome = runtime.block_on(execute(plan, pipeline, request, shared, run, jobs))?;
        runtime.shutdown_background();
        Ok(outcome)
    }
}

/// The least number of stages that run at once, so that on a small machine those that wait for the network do not hold up those that
/// compute.
const FEWEST_JOBS: NonZeroUsize = NonZeroUsize::new(4).expect("not zero");

/// The time between two beats.
const BEAT: Duration = Duration::from_secs(2);

/// Tells the subscribers that time passes, even where nothing happens.
async fn beat(events: Events) {
    loop {
        tokio::time::sleep(BEAT).await;
        events.beat();
    }
}

fn exit(outcome: &Outcome) -> Exit {
    let exits = outcome.failures.iter().map(|(_, failure)| match failure {
        execute::Failure::Stage(error) => Exit::of(error),
        execute::Failure::Panic(_) => Exit::Bug,
    });
    // A failure says more than the signal that came beside it.
    let interrupted = outcome.interrupted.then_some(Exit::Interrupted);
    exits.chain(interrupted).next().unwrap_or(Exit::Done)
}
