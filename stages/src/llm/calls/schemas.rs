//! Which models take JSON schemas, as their servers say. Takes requests and refusals; gives requests without what was refused.
//!
//! Whoever asks for JSON asks for it in the prompt too, so a reply without a schema is read like any other.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use engine::Context;

use crate::llm::request::Request;

/// Whether each model of an account takes schemas, as far as that is known.
#[derive(Default)]
pub(crate) struct Schemas(Mutex<HashMap<String, bool>>);

impl Schemas {
    /// Returns the request without its schema, if its model takes none.
    pub(crate) fn fitting<'a>(&self, request: &'a Request) -> Cow<'a, Request> {
        if request.settings.schema.is_none() || self.known().get(&request.model) != Some(&false) {
            return Cow::Borrowed(request);
        }
        let mut request = request.clone();
        request.settings.schema = None;
        Cow::Owned(request)
    }

    /// Returns whether a request with a schema was answered.
    pub(crate) fn are_taken(&self, model: &str) -> bool {
        self.known().get(model) == Some(&true)
    }

    /// Notes that a request was answered.
    pub(crate) fn took(&self, request: &Request) {
        if request.settings.schema.is_some() {
            self.known().entry(request.model.clone()).or_insert(true);
        }
    }

    /// Notes that a model takes no schema, and says so.
    pub(crate) fn lack(&self, ctx: &Context, account: &str, model: &str, message: &str) {
        if self.known().insert(model.to_owned(), false) != Some(false) {
            ctx.warn(format!(
                "{message}: `{account}/{model}` is asked without a JSON schema, by the prompt alone; \
                 `json_schema: none` under `providers: {account}` does so from the first call"
            ));
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
