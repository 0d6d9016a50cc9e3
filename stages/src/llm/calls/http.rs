//! One try over HTTP. Takes a request; gives a reply, or the kind of failure.

use std::error::Error as _;

use reqwest::{RequestBuilder, Response, StatusCode, header::HeaderMap};
use serde_json::Value;

use super::{
    account::Account,
    charge::{TOO_LARGE, may_be_charged},
    decode,
    errors::{inner_status, place, quoted, refusal, what_it_is},
    outcome::{Failed, Got, Unanswered, Why},
    pace::Announced,
};
use crate::{
    llm::{
        reading,
        request::{Reply, Request},
    },
    rows::Outcome,
};

/// The largest reply that is read, in bytes.
const LARGEST: usize = 16 << 20;

/// The largest state of a job that is read, in bytes. It may contain the job's results.
const LARGEST_JOB: usize = 256 << 20;

/// Sends a request once. Returns its reply, or the kind of failure and whether it may have been paid for all the same.
pub(crate) async fn try_once(account: &Account, request: &Request) -> Result<Got, Unanswered> {
    let request = &*account.schemas.fitting(request);
    let url = (account.protocol.url)(&request.base_url, &request.model);
    let body = account.body(request).to_string();
    let post = account.client.post(&url).header("content-type", "application/json").body(body);
    let unanswered = |failed: Failed, response| Unanswered { may_be_charged: may_be_charged(&failed, response), failed };
    let (status, headers, bytes) = exchange(account, request, post, LARGEST).await.map_err(|failed| unanswered(failed, None))?;
    understood(account, request, status, &headers, &bytes).map_err(|failed| unanswered(failed, Some((status, &bytes))))
}

/// Reads the response to a request.
fn understood(
    account: &Account,
    request: &Request,
    status: StatusCode,
    headers: &HeaderMap,
    bytes: &[u8],
) -> Result<Got, Failed> {
    if !status.is_success() {
        let error = decode::json(bytes, LARGEST).unwrap_or_default();
        return refusal(account, request, status, headers, &error, bytes);
    }
    let value = parse(account, request, bytes)?;
    let id = ["x-request-id", "request-id"].iter().find_map(|name| headers.get(*name)?.to_str().ok());
    let id = id.map(str::to_owned).or_else(|| own_id(account, &value));
    let limits = announced(account, headers);
    reply(account, request, &value).map_or_else(
        || no_reply(account, request, None, headers, &value, bytes),
        |reply| whole(account, request, Got { reply, id, announced: limits }),
    )
}

/// Reads a reply that no error stands beside.
fn reply(account: &Account, request: &Request, value: &Value) -> Option<Reply> {
    let failed = inner_status(account, value).is_some();
    let read = (account.protocol.read)(request, value).filter(|_| !failed)?;
    Some(reading::read(&read).into_owned())
}

/// Refuses a reply during which the server failed.
fn whole(account: &Account, request: &Request, got: Got) -> Result<Got, Failed> {
    if got.reply.outcome != Outcome::Error {
        return Ok(got);
    }
    let said = format!("it stopped with `{}`", got.reply.finish);
    let message = format!("{} failed while it answered: {said}", place(account, request));
    Err(Failed::Again { after: None, message, why: Why::NoAnswer(said) })
}

/// Says what a response is that is no reply.
fn no_reply(
    account: &Account,
    request: &Request,
    status: Option<StatusCode>,
    headers: &HeaderMap,
    value: &Value,
    bytes: &[u8],
) -> Result<Got, Failed> {
    if let Some(status) = status.or_else(|| inner_status(account, value)) {
        return refusal(account, request, status, headers, value, bytes);
    }
    let quoted = quoted(account, bytes);
    let message = format!("{} answered 200 with something that is no reply: {quoted}", place(account, request));
    // What is of the protocol, and says nothing, is an answer to this prompt.
    let is_protocols = account.protocol.marks.iter().any(|mark| value.get(mark).is_some());
    let why = if is_protocols { Why::NoAnswer(format!("it gave no answer: {quoted}")) } else { Why::Nonsense };
    Err(Failed::Again { after: None, message, why })
}

/// Sends a request about a job, and returns the JSON that comes back. `request` is one of the job's, for messages.
pub(crate) async fn ask(account: &Account, request: &Request, what: RequestBuilder) -> Result<Value, Failed> {
    let (status, headers, bytes) = exchange(account, request, what, LARGEST_JOB).await?;
    if status.is_success() {
        return parse(account, request, &bytes);
    }
    let error = decode::json(&bytes, LARGEST).unwrap_or_default();
    refusal(account, request, status, &headers, &error, &bytes)?;
    let message = format!("{} answered {}: {}", place(account, request), status.as_u16(), quoted(account, &bytes));
    Err(Failed::never(status.as_str(), message))
}

/// Downloads a file of JSON lines, and calls `each` with every line.
pub(crate) async fn lines(account: &Account, request: &Request, url: &str, mut each: impl FnMut(Value)) -> Result<(), Failed> {
    let sent = send(account, request, account.client.get(url)).await;
    let mut response = sent.map_err(|error| unsent(account, request, &error))?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut waiting = Vec::new();
    loop {
        let chunk = response.chunk().await.map_err(|error| cut(account, request, &error))?;
        let Some(chunk) = chunk else { break };
        waiting.extend_from_slice(&chunk);
        if waiting.len() > LARGEST + chunk.len() {
            return Err(too_large(account, request, LARGEST));
        }
        while status.is_success()
            && let Some(end) = waiting.iter().position(|byte| *byte == b'\n')
        {
            let line: Vec<_> = waiting.drain(..=end).collect();
            if !line.trim_ascii().is_empty() {
                each(parse(account, request, &line)?);
            }
        }
    }
    if !status.is_success() {
        let error = decode::json(&waiting, LARGEST).unwrap_or_default();
        return refusal(account, request, status, &headers, &error, &waiting).map(|_| ());
    }
    if !waiting.trim_ascii().is_empty() {
        each(parse(account, request, &waiting)?);
    }
    Ok(())
}

/// Reads the result of one request of a job.
pub(crate) fn result(account: &Account, request: &Request, status: Option<u16>, value: &Value) -> Result<Got, Failed> {
    let status = status.and_then(|status| StatusCode::from_u16(status).ok()).filter(|status| !status.is_success());
    match reply(account, request, value).filter(|_| status.is_none()) {
        Some(reply) => whole(account, request, Got { reply, id: own_id(account, value), announced: Announced::default() }),
        None => no_reply(account, request, status, &HeaderMap::new(), value, &value.to_string().into_bytes()),
    }
}

fn own_id(account: &Account, reply: &Value) -> Option<String> {
    reply.get(account.protocol.id)?.as_str().map(str::to_owned)
}

/// Sends what was built, with the query that the manifest gives.
async fn send(account: &Account, request: &Request, what: RequestBuilder) -> Result<Response, reqwest::Error> {
    let mut built = what.build()?;
    if !request.query.is_empty() {
        built.url_mut().query_pairs_mut().extend_pairs(&request.query);
    }
    account.client.execute(built).await
}

async fn exchange(
    account: &Account,
    request: &Request,
    what: RequestBuilder,
    largest: usize,
) -> Result<(StatusCode, HeaderMap, Vec<u8>), Failed> {
    let response = send(account, request, what).await.map_err(|error| unsent(account, request, &error))?;
    let (status, headers) = (response.status(), response.headers().clone());
    match read(response, largest).await {
        Ok(bytes) => Ok((status, headers, bytes)),
        Err(Unread::TooLarge) => Err(too_large(account, request, largest)),
        Err(Unread::Cut(error)) => Err(cut(account, request, &error)),
    }
}

fn too_large(account: &Account, request: &Request, largest: usize) -> Failed {
    let message = format!("{} sent a reply of more than {} MiB", place(account, request), largest >> 20);
    Failed::never(TOO_LARGE, message)
}

fn cut(account: &Account, request: &Request, error: &reqwest::Error) -> Failed {
    let message = format!("{} broke off its reply: {}", place(account, request), reason(error));
    Failed::Again { after: None, message, why: Why::Trouble }
}

fn parse(account: &Account, request: &Request, bytes: &[u8]) -> Result<Value, Failed> {
    decode::json(bytes, LARGEST_JOB).map_err(|error| {
        // A gateway's own page, or a reply that a gateway cut at a limit of its own.
        let answered = format!("{} answered 200 with {}", place(account, request), what_it_is(bytes, &error));
        Failed::Again { after: None, message: format!("{answered}: {}", quoted(account, bytes)), why: Why::Nonsense }
    })
}

enum Unread {
    TooLarge,
    Cut(reqwest::Error),
}

async fn read(mut response: Response, largest: usize) -> Result<Vec<u8>, Unread> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Unread::Cut)? {
        if bytes.len() + chunk.len() > largest {
            return Err(Unread::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn unsent(account: &Account, request: &Request, error: &reqwest::Error) -> Failed {
    let place = place(account, request);
    let reason = account.masked(&reason(error));
    if error.is_builder() {
        return Failed::never("address", format!("{place} cannot be asked: {reason}"));
    }
    if error.is_timeout() && !error.is_connect() {
        return Failed::Again { after: None, message: format!("{place} did not answer in time"), why: Why::Trouble };
    }
    // Another try does not make a certificate valid.
    if reason.contains("certificate") || reason.contains("HandshakeFailure") {
        return Failed::never("certificate", format!("{place} cannot be trusted: {reason}"));
    }
    let why = if error.is_connect() { Why::Unreached } else { Why::Trouble };
    Failed::Again { after: None, message: format!("{place} cannot be reached: {reason}"), why }
}

/// Returns the causes of an error without the error itself, since only the causes say what happened.
pub(crate) fn reason(error: &reqwest::Error) -> String {
    let mut reasons = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        reasons.push(error.to_string());
        cause = error.source();
    }
    reasons.dedup();
    if reasons.is_empty() { error.to_string() } else { reasons.join(": ") }
}

fn announced(account: &Account, headers: &HeaderMap) -> Announced {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.parse().ok();
    let (requests, tokens) = account.protocol.limit_headers;
    Announced { requests_per_minute: number(requests), tokens_per_minute: number(tokens) }
}
