//! `run`: everything that is not known yet.

use std::sync::Arc;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{
    Common, Format, ManifestArguments, data,
    exit::{Exit, Failure},
    plan,
    select::Selection,
    talk,
    terminal::Terminal,
};
use crate::{
    budget::Limit,
    contract::{context::Shared, registry::Registry},
    event::{Event, Subscriber},
    execute::{self, Outcome, execute},
    record::{JsonLines, Record},
    resolve::Pipeline,
};

/// Run what is not known yet
#[derive(Args)]
pub(super) struct Run {
    #[command(flatten)]
    manifest: ManifestArguments,
    #[command(flatten)]
    selection: Selection,
    /// The most that calls may cost, in dollars, or `none`
    #[arg(long, value_name = "USD")]
    budget: Option<Limit>,
    /// Runs nothing: exits with 3 where something would run
    #[arg(long)]
    frozen: bool,
}

impl Run {
    pub(super) fn run(&self, common: &Common, registry: &Registry) -> Result<Exit, Failure> {
        let started = std::time::Instant::now();
        let pipeline = common.pipeline(&self.manifest, registry)?;
        let cache = common.open_cache()?;
        let request = self.selection.request(&pipeline)?;
        let planned = crate::plan::plan(&pipeline, &cache, &request)?;
        if self.frozen && !planned.is_fresh() {
            talk(&plan::text(&pipeline, &planned));
            return Err(Failure::new(Exit::Stale, "something would run, and `--frozen` forbids it")
                .help("run without `--frozen`, and keep the cache"));
        }
        let limit = self.budget.unwrap_or(Limit::Unset);
        let before = super::shared(registry, &pipeline, Arc::clone(&cache), Vec::new(), limit, None)?;
        super::refuse(crate::plan::missing(&planned, &pipeline, &before, &request)?)?;
        crate::plan::ready(&planned, &pipeline, &before, &request)?;
        let document = plan::document(&pipeline, &planned);
        let sets: Vec<_> = self.manifest.sets.iter().map(ToString::to_string).collect();
        let unwritten =
            |error| Failure::new(Exit::Environment, format!("`{}` cannot be written: {error}", common.runs.display()));
        let record = Record::start(&common.runs, &pipeline.manifest.source.file.text, &document, &sets).map_err(unwritten)?;
        let mut subscribers: Vec<Box<dyn Subscriber>> = vec![Box::new(record.subscriber().map_err(unwritten)?)];
        match common.format {
            Format::Json => subscribers.push(Box::new(JsonLines::new(std::io::stdout(), false))),
            Format::Text if common.quiet => {}
            Format::Text => subscribers.push(Box::new(Terminal::new(common.color()))),
        }
        let shared = super::shared(registry, &pipeline, cache, subscribers, limit, Some(&record))?;
        shared.events.send(&Event::RunStarted {
            run: record.name.clone(),
            manifest: pipeline.manifest.name.clone(),
            stages: planned.stages.len(),
        });
        let outcome = drive(&pipeline, &request, &shared, &record.name)?;
        let exit = exit(&outcome);
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
            calls: outcome.calls,
            spent: outcome.spent,
            seconds: started.elapsed().as_secs_f64(),
            saved_seconds: outcome.saved_seconds,
        });
        if common.quiet && common.format == Format::Text {
            for (stage, failure) in &outcome.failures {
                talk(&format!("error: `{stage}` failed: {failure}\n"));
            }
        }
        if common.format == Format::Json {
            data("")?;
        }
        Ok(exit)
    }
}

fn drive(pipeline: &Arc<Pipeline>, request: &crate::plan::Request, shared: &Arc<Shared>, run: &str) -> Result<Outcome, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Environment, format!("no threads can be started: {error}")))?;
    runtime.spawn(obey_signals(shared.cancellation.clone()));
    let outcome = runtime.block_on(execute(pipeline, request, shared, run))?;
    runtime.shutdown_background();
    Ok(outcome)
}

/// The first signal lets what is under way end and keeps it; the second stops at once.
async fn obey_signals(cancellation: CancellationToken) {
    signal().await;
    cancellation.cancel();
    talk("\n    Stopping: what is under way ends and is kept; Ctrl-C again stops at once\n");
    signal().await;
    #[expect(clippy::exit, reason = "a second signal asks for the end at once, and the cache is safe at any moment")]
    std::process::exit(i32::from(Exit::Interrupted as u8));
}

async fn signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    // Without signals there is nothing to obey, and the run goes on to its end.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn exit(outcome: &Outcome) -> Exit {
    let exits = outcome.failures.iter().map(|(_, failure)| match failure {
        execute::Failure::Stage(error) => Exit::of(error),
        execute::Failure::Panic(_) => Exit::Bug,
    });
    // A failure says more than the cancellation that it brought about.
    let exits: Vec<_> = exits.collect();
    exits.iter().find(|exit| **exit != Exit::Interrupted).or(exits.first()).copied().unwrap_or(Exit::Done)
}
