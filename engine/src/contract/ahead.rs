//! What a plan knows about a stage's inputs before anything runs: artifacts that exist, and what upstream stages say about theirs.

use std::collections::BTreeMap;

use cache::Output;
use serde_json::Value;

use super::{artifact::Artifact, context::Context};

/// What a plan knows about a stage's inputs before anything runs, by port. A port of which it knows nothing is not in it.
#[derive(Default)]
pub struct Ahead(pub(crate) BTreeMap<String, Known>);

/// What a plan knows about the input of one port.
pub(crate) enum Known {
    /// The artifact, which exists.
    There(Output),
    /// What the stage that will make the artifact says about it.
    Told(Value),
}

impl Ahead {
    /// Returns the artifact of a port, where it exists already.
    pub fn artifact<A: Artifact>(&self, ctx: &Context, port: &str) -> Option<A> {
        match self.0.get(port)? {
            Known::There(output) => Some(A::open(ctx.store(), output.clone())),
            Known::Told(_) => None,
        }
    }

    /// Returns what the upstream stage says about an artifact that does not exist yet.
    pub fn told(&self, port: &str) -> Option<&Value> {
        match self.0.get(port)? {
            Known::Told(value) => Some(value),
            Known::There(_) => None,
        }
    }
}
