//! How a provider is spoken to: requests and replies, errors and jobs, as pure functions between our words and the provider's.

use std::time::Duration;

use serde_json::Value;

use crate::llm::request::{Reply, Request};

/// How a provider is spoken to: pure functions between our words and its own.
pub(crate) struct Protocol {
    /// The vendor's own address.
    pub base_url: &'static str,
    /// The environment variable that usually holds the key.
    pub key: &'static str,
    /// Where a model is asked.
    pub url: fn(base_url: &str, model: &str) -> String,
    /// The header that carries the key, its value made of the key.
    pub key_header: (&'static str, fn(&str) -> String),
    /// Headers that every request has.
    pub headers: &'static [(&'static str, &'static str)],
    /// What is sent.
    pub body: fn(&Request) -> Value,
    /// What came back; `None` where it is no reply of this protocol.
    pub read: fn(&Request, &Value) -> Option<Reply>,
    /// The field of a reply that has the vendor's own name for the call.
    pub id: &'static str,
    /// When an error says that the call may be tried again.
    pub retry_after: fn(error: &Value) -> Option<Duration>,
    /// What an error means, if its status alone does not say it.
    pub meaning: fn(&VendorError<'_>) -> Option<Meaning>,
    /// The statuses that errors inside a success stand for, by a word in their type; the first that fits.
    pub inner_statuses: &'static [(&'static str, u16)],
    /// Headers of replies that announce the limits: requests and tokens a minute.
    pub limit_headers: (&'static str, &'static str),
    /// How many requests are handed over in one job.
    pub batches: Batches,
}

/// An error as a vendor words it.
pub(crate) struct VendorError<'a> {
    pub status: u16,
    /// The vendor's code or type of the error; empty if it has none.
    pub code: &'a str,
    /// What it says, for people.
    pub said: &'a str,
    /// All of it.
    pub body: &'a Value,
}

/// What an error means beside its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The account's quota is used up: waiting does not help.
    UsedUp,
    /// The vendor does not answer this prompt.
    Blocked,
    /// The prompt is longer than the model reads.
    TooLong,
}

/// How jobs of many requests are spoken of. Each request has a name that its result comes back with.
pub(crate) struct Batches {
    /// The most requests of a job.
    pub most_requests: usize,
    /// The most bytes of a job's requests.
    pub most_bytes: usize,
    /// Where a file of requests is uploaded first, and its line of a request, where jobs are made of files.
    pub upload: Option<(fn(base_url: &str) -> String, fn(name: &str, body: &Value) -> Value)>,
    /// Where a job is submitted, and as what.
    pub submit: fn(&Submission<'_>) -> (String, Value),
    /// The field of what comes back that has the provider's name of the job.
    pub name: &'static str,
    /// Where the newest jobs are listed.
    pub list: fn(base_url: &str) -> String,
    /// The provider's name of our job in that list.
    pub find: fn(list: &Value, job: &Job<'_>) -> Option<String>,
    /// Where a job's state is asked for.
    pub address: fn(base_url: &str, name: &str) -> String,
    /// What that state is.
    pub state: fn(base_url: &str, state: &Value) -> JobState,
    /// A request's name and what came of it: a status, where there is one, and a body.
    pub result: fn(&Value) -> Option<(String, Option<u16>, Value)>,
}

/// A job to be submitted.
pub(crate) struct Submission<'a> {
    pub base_url: &'a str,
    pub model: &'a str,
    /// Our name of the job.
    pub job: &'a str,
    /// The requests by name; empty where they were uploaded.
    pub requests: &'a [(String, Value)],
    /// The provider's name of the file that was uploaded.
    pub file: &'a str,
}

/// A job that may have been submitted.
pub(crate) struct Job<'a> {
    /// Our name of it.
    pub name: &'a str,
    /// Seconds since 1970 at which it was about to be.
    pub since: u64,
    /// How many of its requests are waited for, at least.
    pub requests: u64,
}

/// How far a job is.
pub(crate) enum JobState {
    /// It goes on.
    Running,
    /// It ended, with results in files of lines and in this list.
    Ended {
        /// The files' addresses.
        files: Vec<String>,
        /// Results at hand.
        results: Vec<Value>,
    },
    /// It came to nothing.
    Failed(String),
}
