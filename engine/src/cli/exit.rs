//! Exit codes. Takes what went wrong; gives the exit code, and the message for it.

use std::{fmt::Display, process::ExitCode};

use crate::{
    contract::{
        command::CommandError,
        error::{Blame, StageError},
    },
    diagnostic::Mistake,
};

/// The exit codes, each with its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Exit {
    /// Done; for `plan --exit-code`: nothing would run.
    Done = 0,
    /// A stage failed.
    StageFailed = 1,
    /// The command line or the manifest is wrong.
    Usage = 2,
    /// Something would run (`plan --exit-code`, `run --frozen`), or has not run yet (`show`, `export`).
    Stale = 3,
    /// Disk, network, a missing key.
    Environment = 4,
    /// Over the budget.
    OverBudget = 5,
    /// A bug in the program.
    Bug = 70,
    /// Stopped by Ctrl-C.
    Interrupted = 130,
}

/// The end of `--help`: where to begin, and the exit codes.
pub(super) const END: &str = "\
Examples:
  fingerpost init example                      write a manifest that runs
  fingerpost plan example/quickstart.yaml      show what would run, and why
  fingerpost run example/quickstart.yaml       run it

`fingerpost kinds` lists the kinds of stage, `fingerpost COMMAND --help` explains a command.

Exit codes:
    0  done; `plan --exit-code`: nothing would run
    1  a stage failed
    2  the command line or the manifest is wrong
    3  something would run (`plan --exit-code`, `run --frozen`) or has not run yet (`show`, `export`)
    4  the environment: disk, network, a missing key
    5  over the budget
   70  a bug in fingerpost
  130  stopped by Ctrl-C, SIGTERM or SIGHUP";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ends early.
pub(super) enum Failure {
    /// The manifest is wrong.
    Mistakes(Vec<Mistake>),
    /// Anything else.
    Other { exit: Exit, message: String, help: Option<String> },
    /// Everything is reported already.
    Silent(Exit),
}

impl Failure {
    pub(super) fn new(exit: Exit, message: impl Display) -> Self {
        Self::Other { exit, message: message.to_string(), help: None }
    }

    pub(super) fn help(self, text: impl Into<String>) -> Self {
        match self {
            Self::Other { exit, message, .. } => Self::Other { exit, message, help: Some(text.into()) },
            other => other,
        }
    }
}

impl From<StageError> for Failure {
    fn from(error: StageError) -> Self {
        Self::Other { exit: Exit::of(&error), message: error.message, help: error.help }
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Usage { message, help } => Self::Other { exit: Exit::Usage, message, help },
            CommandError::Failed(error) => error.into(),
        }
    }
}

impl From<::cache::CacheError> for Failure {
    fn from(error: ::cache::CacheError) -> Self {
        Self::Other { exit: Exit::Environment, message: error.to_string(), help: error.help().map(str::to_owned) }
    }
}

impl Exit {
    /// Returns the code that says who is to blame for `error`.
    pub(super) fn of(error: &StageError) -> Self {
        match error.blame {
            Blame::Input => Self::StageFailed,
            Blame::Environment | Blame::Transient => Self::Environment,
            Blame::Budget => Self::OverBudget,
            Blame::Cancelled => Self::Interrupted,
        }
    }
}
