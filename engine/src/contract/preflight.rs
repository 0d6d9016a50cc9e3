//! What a stage needs and lacks before it runs.

use super::{
    mistake::ParamMistake,
    section::{Section, Sections},
};
use crate::environment::Environment;

/// What a preflight may look at beside the params and the machine itself.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    pub(crate) sections: &'a Sections,
    pub(crate) environment: &'a Environment,
}

impl Surroundings<'_> {
    /// Returns a block of the manifest.
    pub fn section<S: Section>(&self) -> std::sync::Arc<S> {
        self.sections.get()
    }

    /// Returns an environment variable, or its value in `.env` beside the manifest.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.environment.get(name)
    }
}

/// What a stage lacks, at the field that asks for it.
#[derive(Clone, Debug)]
pub enum Lack {
    /// A device. Another machine may have it; on this one the manifest is wrong, and `check` says so.
    Device(ParamMistake),
    /// An environment variable that calls need. `plan` names it, and `run` stops for it.
    Variable(ParamMistake),
}
