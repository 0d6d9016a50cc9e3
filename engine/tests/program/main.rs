//! The engine through a program, as a user meets it: `examples/toy.rs` is the program.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "tests are told what to do by variables")]

mod cache;
mod commands;
mod failures;
mod hits;
mod mistakes;
mod place;
mod processes;
#[cfg(unix)]
mod read_only;
mod replies;
mod terminal;
