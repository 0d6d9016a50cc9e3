//! The program: the engine with the kinds of this package. Takes a command line; gives an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    engine::cli::main(fingerpost::registry())
}
