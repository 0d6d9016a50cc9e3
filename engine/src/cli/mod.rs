//! The command line. Takes arguments; gives an exit code. Nothing outside this folder prints.
//!
//! Read this file (common options, and how a command starts and ends) and `exit` (errors and exit codes), then a command: each has the
//! file of its name, and `try` is in `try_row`. What several commands need is in `named` and `select` (which manifest and which stages
//! are meant), `inputs` (a stage's inputs without a run), `terminal`, `live` and `style` (what a person sees), `budget` (the question for
//! a budget), `signals` (how a run is stopped) and `github` (how a workflow shows a run).

mod budget;
mod cache;
mod check;
mod exit;
mod export;
mod github;
mod init;
mod inputs;
mod kinds;
mod live;
mod named;
mod plan;
mod rewrite;
mod run;
mod schema;
mod select;
mod show;
mod signals;
mod spent;
mod style;
mod terminal;
mod try_row;
mod why;

use std::{
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use ::cache::{Cache, Mode};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::{
    budget::{Budget, Experience, Limit},
    contract::{
        context::{AskBudget, Shared},
        registry::Registry,
    },
    diagnostic::{self, Mistake},
    environment::Environment,
    event::{Events, Subscriber},
    flights::Flights,
    manifest::{self, Set},
    record::Record,
    resolve::{Pipeline, resolve},
    source::Source,
    store::Store,
    visible::visible,
};
use exit::{Exit, Failure};

/// Run workflows from YAML manifests that skip every step whose result is already cached.
#[derive(Parser)]
#[command(name = "fingerpost", version, after_help = exit::END)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

/// What every command takes.
#[derive(Args)]
#[command(next_help_heading = "Common options")]
struct Common {
    /// Folder of cached results and replies [default: the nearest `.fingerpost/cache` in this folder or above it, else a new one here]
    #[arg(long, global = true, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Folder that records runs
    #[arg(long, global = true, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
    /// Whether cached results are used and new ones are kept: off, read, write, read-write
    #[arg(long, global = true, value_name = "MODE", default_value = "read-write")]
    cache_mode: Mode,
    /// Output format: for people, for programs, or with mistakes as annotations of a GitHub workflow
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: When,
    /// Report failures only
    #[arg(long, short, global = true)]
    quiet: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Github,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

#[derive(Subcommand)]
enum Command {
    Init(init::Init),
    Check(check::Check),
    Plan(plan::Plan),
    Run(run::Run),
    Why(why::Why),
    Show(show::Show),
    Export(export::Export),
    Kinds(kinds::Kinds),
    Schema(schema::Schema),
    Cache(cache::CacheCommand),
    Spent(spent::SpentCommand),
    Try(try_row::Attempt),
}

/// A manifest, with values that this call overrides.
#[derive(Args)]
struct ManifestArguments {
    /// Manifest file
    #[arg(value_name = "MANIFEST")]
    manifest: PathBuf,
    /// Override one value for this run: `params.answers=PATH`, `stages.dpo.with.beta=0.2`
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<Set>,
}

/// Reads the command line, does what it says, and returns the exit code.
pub fn main(registry: Registry) -> ExitCode {
    let commands = registry.commands().iter().map(|command| (command.describe)());
    let matches = match Arguments::command().subcommands(commands).try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return refused(&error),
    };
    if let Some((name, given)) = matches.subcommand()
        && let Some(command) = registry.commands().iter().find(|command| command.name == name)
    {
        return match Common::from_arg_matches(&matches) {
            Ok(common) => {
                common.end((command.run)(given).map_err(Failure::from).and_then(|text| data(&text).map(|()| Exit::Done)))
            }
            Err(error) => refused(&error),
        };
    }
    let arguments = match Arguments::from_arg_matches(&matches) {
        Ok(arguments) => arguments,
        Err(error) => return refused(&error),
    };
    let common = &arguments.common;
    let done = match &arguments.command {
        Command::Init(command) => command.run(&registry),
        Command::Check(command) => command.run(common, &registry),
        Command::Plan(command) => command.run(common, &registry),
        Command::Run(command) => command.run(common, &registry),
        Command::Why(command) => command.run(common, &registry),
        Command::Show(command) => command.run(common, &registry),
        Command::Export(command) => command.run(common, &registry),
        Command::Kinds(command) => command.run(common, &registry),
        Command::Schema(command) => command.run(&registry),
        Command::Cache(command) => command.run(common, &registry),
        Command::Spent(command) => command.run(common),
        Command::Try(command) => command.run(common, &registry),
    };
    common.end(done)
}

/// Shows what `clap` has to say: the help that was asked for, or what is wrong with the command line.
fn refused(error: &clap::Error) -> ExitCode {
    let code = if error.use_stderr() { Exit::Usage } else { Exit::Done };
    // Where even that cannot be written, the exit code still says it.
    let _unwritten = error.print();
    code.into()
}

impl Common {
    /// Returns the exit code of a command that ended with `done`, and reports what went wrong first.
    fn end(&self, done: Result<Exit, Failure>) -> ExitCode {
        match done {
            Ok(exit) => exit.into(),
            Err(failure) => self.tell(&failure).into(),
        }
    }

    /// Returns whether standard error takes colour.
    fn color(&self) -> bool {
        match self.color {
            When::Always => true,
            When::Never => false,
            When::Auto => style::wanted(std::io::stderr().is_terminal()),
        }
    }

    fn open_cache(&self) -> Result<Arc<Cache>, Failure> {
        let folder = match &self.cache {
            Some(folder) => folder.clone(),
            None => nearest_cache()?,
        };
        Cache::open(&folder, self.cache_mode).map_err(|error| Failure::new(Exit::Environment, error))
    }

    fn pipeline(&self, arguments: &ManifestArguments, registry: &Registry) -> Result<Arc<Pipeline>, Failure> {
        let source = Source::read(&arguments.manifest).map_err(Failure::Mistakes)?;
        let folder = arguments.manifest.parent().unwrap_or(Path::new("")).to_owned();
        let manifest = manifest::parse(source, folder, &arguments.sets).map_err(Failure::Mistakes)?;
        if !self.quiet && !manifest.warnings.is_empty() {
            self.mistakes(&manifest.warnings);
        }
        Ok(Arc::new(resolve(manifest, registry).map_err(Failure::Mistakes)?))
    }

    fn tell(&self, failure: &Failure) -> Exit {
        match failure {
            Failure::Mistakes(mistakes) => {
                self.mistakes(mistakes);
                Exit::Usage
            }
            Failure::Other { exit, message, help } => {
                let mut text = format!("{} {}\n", style::error("error:", self.color()), github::inert(&visible(message)));
                if let Some(help) = help {
                    text += &format!(" {} {}\n", style::hint("help:", self.color()), github::inert(&visible(help)));
                }
                talk(&text);
                *exit
            }
            Failure::Silent(exit) => *exit,
        }
    }

    fn mistakes(&self, mistakes: &[Mistake]) {
        if github::is_here() && self.format != Format::Github {
            talk(&diagnostic::render(mistakes, diagnostic::Format::Github));
        }
        match self.format {
            Format::Github => talk(&diagnostic::render(mistakes, diagnostic::Format::Github)),
            Format::Json => {
                // A reader that went away does not change what is wrong.
                let _closed = data(&diagnostic::render(mistakes, diagnostic::Format::Json));
            }
            Format::Text => talk(&diagnostic::render(
                mistakes,
                diagnostic::Format::Text { color: self.color(), width: style::width(), unicode: true },
            )),
        }
    }
}

/// Returns what all stages of a run share.
fn shared(
    registry: &Registry,
    pipeline: &Pipeline,
    cache: Arc<Cache>,
    subscribers: Vec<Box<dyn Subscriber>>,
    limit: Limit,
    ask: Option<AskBudget>,
    record: Option<&Record>,
) -> Result<Arc<Shared>, Failure> {
    let environment = Environment::beside(&pipeline.manifest.folder)
        .map_err(|message| Failure::new(Exit::Usage, message).help("write one NAME=value on each line"))?;
    Ok(Arc::new(Shared {
        store: Store::new(cache),
        events: Events::new(subscribers),
        services: registry.shared_services(),
        flights: Flights::default(),
        budget: Budget::new(limit),
        experience: Experience::default(),
        cancellation: CancellationToken::new(),
        sections: pipeline.sections.clone(),
        environment,
        ask,
        run: record.map(|record| record.name.clone()).unwrap_or_default(),
        record: record.map(|record| record.folder.clone()),
    }))
}

/// Starts the threads that calls wait on.
fn runtime() -> Result<Runtime, Failure> {
    let runtime = Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Failure::new(Exit::Environment, format!("no threads can be started: {error}")))
}

/// Returns a failure where there are mistakes.
fn refuse(mistakes: Vec<Mistake>) -> Result<(), Failure> {
    if mistakes.is_empty() { Ok(()) } else { Err(Failure::Mistakes(mistakes)) }
}

fn nearest_cache() -> Result<PathBuf, Failure> {
    let here = std::env::current_dir().map_err(|error| Failure::new(Exit::Environment, error))?;
    let found = here.ancestors().map(|folder| folder.join(".fingerpost")).find(|folder| folder.is_dir());
    Ok(found.unwrap_or_else(|| here.join(".fingerpost")).join("cache"))
}

/// Writes data to standard output; on a terminal, with control characters written out. A reader that has seen enough is no failure.
fn data(text: &str) -> Result<(), Failure> {
    bytes(text.as_bytes())
}

/// Writes data that need not be text, as [`data`] does.
fn bytes(data: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let shown = if out.is_terminal() { Some(visible(&String::from_utf8_lossy(data)).into_owned()) } else { None };
    let data = shown.as_ref().map_or(data, String::as_bytes);
    match out.write_all(data).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(Failure::Silent(Exit::Done)),
        Err(error) => Err(Failure::new(Exit::Environment, format!("standard output cannot be written: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Writes messages for people to standard error.
fn talk(text: &str) {
    // When standard error is closed, there is no place to report that.
    let _closed = std::io::stderr().lock().write_all(text.as_bytes());
}
