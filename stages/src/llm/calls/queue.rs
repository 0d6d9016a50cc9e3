//! The queue of an account in batch mode: requests whose callers wait until a job takes them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use engine::StageError;
use tokio::sync::oneshot;

use super::outcome::Got;
use crate::llm::request::Request;

/// The requests of an account that are in no job yet.
#[derive(Default)]
pub(crate) struct Batch(Mutex<Vec<Waiting>>);

/// A request with its waiting caller.
pub(crate) struct Waiting {
    /// The request's digest, by which its result comes back.
    pub name: String,
    pub request: Request,
    pub reply: oneshot::Sender<Result<Got, StageError>>,
    /// The number of jobs that the request was in without an answer.
    pub jobs: u32,
}

impl Batch {
    /// Locks the queue.
    pub(crate) fn queue(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
