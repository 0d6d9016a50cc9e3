//! Command line → exit code: the engine with the kinds of this package.

use std::process::ExitCode;

fn main() -> ExitCode {
    engine::cli::main(fingerpost::registry())
}
