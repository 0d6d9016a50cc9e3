//! A command that a package brings. Takes its arguments; gives the text for standard output, or why there is none.

use std::fmt::Display;

use clap::{ArgMatches, Args};

use super::error::StageError;

/// A command beside those of the engine: its arguments by `clap`'s derive, its name, and what it does.
///
/// It prints nothing itself: what it returns is data and goes to standard output, and an error is reported as every other one.
pub trait Command: Args {
    /// What is typed after the program's name.
    const NAME: &'static str;
    /// Whether the help leaves it out: for commands that only measurements and comparisons need.
    const HIDDEN: bool = false;

    /// Runs the command. A text that is not empty ends with a newline.
    ///
    /// # Errors
    /// What was given is wrong, the machine is to blame, or the work failed: the exit code follows from which.
    fn run(&self) -> Result<String, CommandError>;
}

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The command line, or a file that it names, is wrong.
    #[error("{message}")]
    Usage {
        /// What is wrong and where.
        message: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// The work failed, or the machine is to blame.
    #[error(transparent)]
    Failed(#[from] StageError),
}

impl CommandError {
    /// Returns a mistake in what was given.
    pub fn usage(message: impl Display) -> Self {
        Self::Usage { message: message.to_string(), help: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn help(self, text: impl Into<String>) -> Self {
        match self {
            Self::Usage { message, .. } => Self::Usage { message, help: Some(text.into()) },
            Self::Failed(error) => Self::Failed(error.help(text)),
        }
    }
}

/// A command with its type erased.
pub(crate) struct CommandKind {
    pub(crate) name: &'static str,
    /// The `clap` side: name, help and arguments.
    pub(crate) describe: fn() -> clap::Command,
    /// Reads the parsed arguments, and runs the command.
    pub(crate) run: fn(&ArgMatches) -> Result<String, CommandError>,
}

impl CommandKind {
    pub(crate) fn of<C: Command>() -> Self {
        Self {
            name: C::NAME,
            describe: || C::augment_args(clap::Command::new(C::NAME).hide(C::HIDDEN)),
            run: |matches| C::from_arg_matches(matches).map_err(CommandError::usage)?.run(),
        }
    }
}
