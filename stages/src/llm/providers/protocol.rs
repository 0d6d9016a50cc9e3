//! The protocol of a provider, as pure functions. Takes requests and JSON from the provider; gives JSON to send, replies, errors and jobs.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::llm::request::{Reply, Request};

/// The protocol of a provider: pure functions between our types and its JSON.
pub(crate) struct Protocol {
    /// The vendor's own address.
    pub base_url: &'static str,
    /// The environment variable that usually holds the key.
    pub key: &'static str,
    /// Returns the address for requests to a model.
    pub url: fn(base_url: &str, model: &str) -> String,
    /// The name of the header with the key, and the function that turns the key into the header's value.
    pub key_header: (&'static str, fn(&str) -> String),
    /// Headers that every request has.
    pub headers: &'static [(&'static str, &'static str)],
    /// Returns the body of a request.
    pub body: fn(&Request) -> Value,
    /// Reads a reply from a response's body; `None` if it is no reply of this protocol.
    pub read: fn(&Request, &Value) -> Option<Reply>,
    /// Fields by which a response is known to be of this protocol although it has no answer.
    pub marks: &'static [&'static str],
    /// Settings that the protocol has no words for.
    pub lacks: &'static [&'static str],
    /// The field of a reply with the vendor's id of the call.
    pub id: &'static str,
    /// Returns the time after which the call may be tried again, if an error says one.
    pub retry_after: fn(error: &Value) -> Option<Duration>,
    /// Returns what an error means, if its status alone does not say it.
    pub meaning: fn(&VendorError<'_>) -> Option<Meaning>,
    /// The statuses that errors in a successful response stand for, by a word in their type; the first that fits counts.
    pub inner_statuses: &'static [(&'static str, u16)],
    /// The headers of responses that announce the limits on requests and on tokens a minute.
    pub limit_headers: (&'static str, &'static str),
    /// The protocol of batches.
    pub batches: Batches,
}

impl Protocol {
    /// Returns the body of a request, with what its settings add to it.
    pub(crate) fn body_of(&self, request: &Request) -> Value {
        let mut body = (self.body)(request);
        merge(&mut body, &request.settings.extra);
        body
    }
}

/// Adds fields to an object. What is an object in both is merged; anything else is replaced.
fn merge(body: &mut Value, extra: &Map<String, Value>) {
    for (name, value) in extra {
        match (&mut body[name.as_str()], value) {
            (within @ Value::Object(_), Value::Object(extra)) => merge(within, extra),
            (field, value) => *field = value.clone(),
        }
    }
}

/// An error in a vendor's own terms.
pub(crate) struct VendorError<'a> {
    pub status: u16,
    /// The vendor's code or type of the error; empty if it has none.
    pub code: &'a str,
    /// The error's message for people.
    pub said: &'a str,
    /// The whole body of the response.
    pub body: &'a Value,
}

/// The meaning of an error whose status does not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The account's quota is used up: waiting does not help.
    UsedUp,
    /// The vendor's filter blocks this prompt, as it blocks answers: a reply without text.
    Blocked,
    /// The vendor refuses this prompt with an error.
    Refused,
    /// The prompt is longer than the model reads.
    TooLong,
}

/// The protocol of batches: jobs of many requests. Each request has a name that its result comes back with.
pub(crate) struct Batches {
    /// The largest number of requests of a job.
    pub most_requests: usize,
    /// The largest size of a job's requests, in bytes.
    pub most_bytes: usize,
    /// For providers that take a job's requests from a file: the address to upload the file to, and the line of a request in it.
    pub upload: Option<(fn(base_url: &str) -> String, fn(name: &str, body: &Value) -> Value)>,
    /// Returns the address to submit a job to, and the body.
    pub submit: fn(&Submission<'_>) -> (String, Value),
    /// The field of the response with the provider's name of the job.
    pub name: &'static str,
    /// Returns the address of the list of the newest jobs.
    pub list: fn(base_url: &str) -> String,
    /// Returns the provider's name of our job, if it is in that list.
    pub find: fn(list: &Value, job: &Job<'_>) -> Option<String>,
    /// Returns the address of a job's state.
    pub address: fn(base_url: &str, name: &str) -> String,
    /// Reads a job's state from the response.
    pub state: fn(base_url: &str, state: &Value) -> JobState,
    /// Returns a request's name and its result: a status, if there is one, and a body.
    pub result: fn(&Value) -> Option<(String, Option<u16>, Value)>,
}

/// A job to be submitted.
pub(crate) struct Submission<'a> {
    pub base_url: &'a str,
    pub model: &'a str,
    /// Our name of the job.
    pub job: &'a str,
    /// The requests by name; empty if they were uploaded as a file.
    pub requests: &'a [(String, Value)],
    /// The provider's name of the uploaded file; empty if there is none.
    pub file: &'a str,
}

/// A job that may have been submitted.
pub(crate) struct Job<'a> {
    /// Our name of the job.
    pub name: &'a str,
    /// The time at which the job was named, shortly before it was submitted, in seconds since 1970.
    pub since: u64,
    /// A lower bound of the number of its requests: those that are waited for.
    pub requests: u64,
}

/// The state of a job.
pub(crate) enum JobState {
    Running,
    /// The job ended, with results in files of JSON lines or in the state itself.
    Ended {
        /// The files' addresses.
        files: Vec<String>,
        /// The results in the state itself.
        results: Vec<Value>,
    },
    /// The job failed as a whole, with this message.
    Failed(String),
}
