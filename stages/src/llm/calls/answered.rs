//! Which models have answered, and how they were asked. Takes requests that were answered; gives whether one was that differs only in its
//! prompt, in this run or an earlier one. An error of a request is about its prompt then.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use engine::{Context, StageError};

use crate::llm::request::Request;

/// The forms of the requests that were answered in this run.
#[derive(Default)]
pub(crate) struct Answered(Mutex<BTreeSet<String>>);

impl Answered {
    /// Notes that a request was answered.
    ///
    /// # Errors
    /// The cache cannot be written.
    pub(crate) fn note(&self, ctx: &Context, request: &Request) -> Result<(), StageError> {
        let form = form(request)?;
        let is_new = self.forms().insert(form.clone());
        if is_new { ctx.pin(&form, "answered").map(|_| ()) } else { Ok(()) }
    }

    /// Returns whether a request that differs only in its prompt was answered.
    ///
    /// # Errors
    /// The cache cannot be read.
    pub(crate) fn has(&self, ctx: &Context, request: &Request) -> Result<bool, StageError> {
        let form = form(request)?;
        let is_here = self.forms().contains(&form);
        Ok(is_here || ctx.pinned(&form)?.is_some())
    }

    fn forms(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns all of a request but its prompt.
fn form(request: &Request) -> Result<String, StageError> {
    let form = Request { prompt: Vec::new(), sample: 0, ..request.clone() };
    serde_json::to_string(&form).map(|form| format!("answered {form}")).map_err(StageError::failed)
}
