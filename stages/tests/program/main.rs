//! The program, as a user runs it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "tests are told what to do by variables")]

mod asked_judges;
mod batches;
mod benchmarks;
mod devices;
mod examples;
mod full_disk;
mod golden;
mod hostile;
mod judging;
mod kinds;
mod logs;
mod manifests;
mod memory;
mod money;
mod parity;
mod parity_models;
mod parity_training;
mod pipeline;
mod place;
mod providers;
mod published;
mod refusals;
mod refused_prompts;
mod replies;
mod routes;
mod schema;
mod server;
mod structured;
mod tables;
mod training;
