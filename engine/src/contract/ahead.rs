//! What a plan knows about a stage's inputs before anything runs: artifacts that exist, and what the stages above say of theirs.

use std::collections::BTreeMap;

use cache::Output;
use serde_json::Value;

use super::{artifact::Artifact, context::Context};

/// What is known ahead, by port; a port of which nothing is known is not in it.
#[derive(Default)]
pub struct Ahead(pub(crate) BTreeMap<String, Known>);

/// What is known of one port.
pub(crate) enum Known {
    /// The artifact itself.
    There(Output),
    /// What the stage that will give it says of it.
    Told(Value),
}

impl Ahead {
    /// Returns what flows in at a port, where it is there already.
    pub fn artifact<A: Artifact>(&self, ctx: &Context, port: &str) -> Option<A> {
        match self.0.get(port)? {
            Known::There(output) => Some(A::open(ctx.store(), output.clone())),
            Known::Told(_) => None,
        }
    }

    /// Returns what the stage above told of an artifact that is not there yet.
    pub fn told(&self, port: &str) -> Option<&Value> {
        match self.0.get(port)? {
            Known::Told(value) => Some(value),
            Known::There(_) => None,
        }
    }
}
