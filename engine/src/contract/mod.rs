//! What an author of stages reads: the types that a stage is written with, and nothing that runs them.
//!
//! Takes nothing; gives traits, artifacts and what a stage may reach while it runs. Read `kind` first (what every kind declares about
//! itself), then `stage` (a kind that runs as a whole), `each` (one that works row by row) and `effect` (what its rows ask for)
//! with `purchase` (how a call is paid for), `artifact` (what flows between stages), `context` (what a running stage may reach), `section` (what the manifest shares among
//! stages), and `registry` last, where types become names.

pub(crate) mod ahead;
pub(crate) mod artifact;
pub(crate) mod attempt;
mod canonical;
pub(crate) mod checkpoints;
pub(crate) mod command;
pub(crate) mod context;
pub(crate) mod each;
pub(crate) mod effect;
pub(crate) mod error;
pub(crate) mod file;
pub(crate) mod folder;
pub(crate) mod forecast;
pub(crate) mod format;
pub(crate) mod import;
pub(crate) mod kind;
pub(crate) mod mistake;
pub(crate) mod ports;
pub(crate) mod preflight;
pub(crate) mod purchase;
pub(crate) mod registry;
mod schema;
pub(crate) mod section;
pub(crate) mod stage;
mod typed;
