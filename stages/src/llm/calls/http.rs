//! One try over HTTP. Takes a request; gives a reply, or the kind of failure.

use std::{error::Error as _, time::Duration};

use reqwest::{RequestBuilder, Response, StatusCode, header::HeaderMap};
use serde_json::Value;

use super::{
    account::Account,
    charge::{TOO_LARGE, may_be_charged},
    outcome::{Failed, Got, Unanswered, Why},
    pace::Announced,
};
use crate::{
    llm::{
        providers::protocol::{Meaning, VendorError},
        request::{Reply, Request},
    },
    rows::{Outcome, Usage},
};

/// The largest reply that is read, in bytes.
const LARGEST: usize = 16 << 20;

/// The largest state of a job that is read, in bytes. It may contain the job's results.
const LARGEST_JOB: usize = 256 << 20;

/// The length to which a server's words are quoted, in characters.
const QUOTED: usize = 300;

/// Sends a request once. Returns its reply, or the kind of failure and whether it may have been paid for all the same.
pub(crate) async fn try_once(account: &Account, request: &Request) -> Result<Got, Unanswered> {
    let url = (account.protocol.url)(&request.base_url, &request.model);
    let body = (account.protocol.body)(request).to_string();
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
        let error = serde_json::from_slice(bytes).unwrap_or_default();
        return refusal(account, request, status, headers, &error, bytes);
    }
    let value = parse(account, request, bytes)?;
    if let Some(reply) = (account.protocol.read)(request, &value) {
        let id = ["x-request-id", "request-id"].iter().find_map(|name| headers.get(*name)?.to_str().ok());
        let id = id.map(str::to_owned).or_else(|| own_id(account, &value));
        return Ok(Got { reply, id, announced: announced(account, headers) });
    }
    match inner_status(account, &value) {
        Some(status) => refusal(account, request, status, headers, &value, bytes),
        None => Err(Failed::Again {
            after: None,
            message: format!(
                "{} answered 200 with something that is no reply: {}",
                place(account, request),
                quoted(account, bytes)
            ),
            why: Why::Nonsense,
        }),
    }
}

/// Sends a request about a job, and returns the JSON that comes back. `request` is one of the job's, for messages.
pub(crate) async fn ask(account: &Account, request: &Request, what: RequestBuilder) -> Result<Value, Failed> {
    let (status, headers, bytes) = exchange(account, request, what, LARGEST_JOB).await?;
    if status.is_success() {
        return parse(account, request, &bytes);
    }
    let error = serde_json::from_slice(&bytes).unwrap_or_default();
    refusal(account, request, status, &headers, &error, &bytes)?;
    let message = format!("{} answered {}: {}", place(account, request), status.as_u16(), quoted(account, &bytes));
    Err(Failed::never(status.as_str(), message))
}

/// Downloads a file of JSON lines, and calls `each` with every line.
pub(crate) async fn lines(account: &Account, request: &Request, url: &str, mut each: impl FnMut(Value)) -> Result<(), Failed> {
    let sent = account.client.get(url).send().await;
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
        let error = serde_json::from_slice(&waiting).unwrap_or_default();
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
    if status.is_none()
        && let Some(reply) = (account.protocol.read)(request, value)
    {
        return Ok(Got { reply, id: own_id(account, value), announced: Announced::default() });
    }
    let bytes = value.to_string().into_bytes();
    match status.or_else(|| inner_status(account, value)) {
        Some(status) => refusal(account, request, status, &HeaderMap::new(), value, &bytes),
        None => Err(Failed::Again {
            after: None,
            message: format!("{} gave a result that is no reply: {}", place(account, request), quoted(account, &bytes)),
            why: Why::Trouble,
        }),
    }
}

fn own_id(account: &Account, reply: &Value) -> Option<String> {
    reply.get(account.protocol.id)?.as_str().map(str::to_owned)
}

async fn exchange(
    account: &Account,
    request: &Request,
    what: RequestBuilder,
    largest: usize,
) -> Result<(StatusCode, HeaderMap, Vec<u8>), Failed> {
    let response = what.send().await.map_err(|error| unsent(account, request, &error))?;
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
    serde_json::from_slice(bytes).map_err(|error| {
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

/// Interprets a status other than success. An error that is about the prompt is a reply without an answer.
///
/// # Errors
/// Every other error, with whether the request may be tried again.
fn refusal(
    account: &Account,
    request: &Request,
    status: StatusCode,
    headers: &HeaderMap,
    error: &Value,
    bytes: &[u8],
) -> Result<Got, Failed> {
    let said = said(error).map_or_else(|| quoted(account, bytes), |said| clipped(&account.masked(&said)));
    let code = code(error).unwrap_or_default();
    let message = format!("{} answered {}: {said}", place(account, request), status.as_u16());
    let after = retry_after(headers).or_else(|| (account.protocol.retry_after)(error));
    let vendor_error = VendorError { status: status.as_u16(), code: &code, said: &said, body: error };
    match ((account.protocol.meaning)(&vendor_error), status.as_u16()) {
        (Some(Meaning::UsedUp), _) => {
            let help =
                format!("the quota of the account behind `{}` is used up: raise it, or wait until it is renewed", account.name);
            Err(Failed::Never { code: "quota".to_owned(), message, help: Some(help) })
        }
        (Some(Meaning::Blocked), _) => Ok(unanswered(request, Outcome::Blocked, &code)),
        (Some(Meaning::TooLong), _) => Ok(unanswered(request, Outcome::Error, "context_length_exceeded")),
        (None, 429) => Err(Failed::TooFast { after, message }),
        (None, 408 | 409 | 425 | 500..=599) => Err(Failed::Again { after, message, why: Why::Trouble }),
        (None, number) => {
            let help = match number {
                _ if said.contains("API key") || number == 401 => Some(format!("is the key of `{}` right?", account.name)),
                403 => Some(format!("may the key of `{}` use this model?", account.name)),
                404 => Some("is there such a model, and is `base_url` right?".to_owned()),
                300..=399 => Some("the address moved: correct `base_url`".to_owned()),
                _ => None,
            };
            Err(Failed::Never { code: format!("{number} {code}"), message, help })
        }
    }
}

/// Returns the reply without an answer for a prompt that the provider never answers.
fn unanswered(request: &Request, outcome: Outcome, finish: &str) -> Got {
    let reply = Reply { text: None, outcome, finish: finish.to_owned(), served: request.model.clone(), usage: Usage::default() };
    Got { reply, id: None, announced: Announced::default() }
}

/// Returns the status that an error in the body of a successful response stands for.
fn inner_status(account: &Account, value: &Value) -> Option<StatusCode> {
    let error = value.get("error").filter(|error| !error.is_null())?;
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let stated = ["code", "status", "status_code"].iter().find_map(|name| number(error.get(*name)?));
    let kind = error.get("type").or(error.get("code")).and_then(Value::as_str).unwrap_or_default();
    let named = account.protocol.inner_statuses.iter().find(|(word, _)| kind.contains(word)).map_or(500, |(_, status)| *status);
    StatusCode::from_u16(stated.map_or(Ok(named), u16::try_from).ok()?).ok()
}

fn said(error: &Value) -> Option<String> {
    let inner = error.get("error").unwrap_or(error);
    let texts = [inner.get("message"), error.get("message"), error.get("detail"), Some(inner)];
    texts.into_iter().flatten().find_map(|value| value.as_str().map(str::to_owned))
}

fn code(error: &Value) -> Option<String> {
    let inner = error.get("error")?;
    ["code", "status", "type"].iter().find_map(|name| inner.get(*name)?.as_str().map(str::to_owned))
}

/// Returns the time in `retry-after-ms`, or in `retry-after` if that is in seconds. A date is ignored; the jitter decides then.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = number("retry-after-ms").map(|milliseconds| milliseconds / 1000.0).or_else(|| number("retry-after"))?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn announced(account: &Account, headers: &HeaderMap) -> Announced {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.parse().ok();
    let (requests, tokens) = account.protocol.limit_headers;
    Announced { requests_per_minute: number(requests), tokens_per_minute: number(tokens) }
}

fn place(account: &Account, request: &Request) -> String {
    format!("`{}/{}` at {}", account.name, request.model, request.base_url)
}

fn what_it_is(bytes: &[u8], error: &serde_json::Error) -> String {
    let start = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    match start {
        None => "nothing".to_owned(),
        Some(b'<') => "a page of HTML; is `base_url` right?".to_owned(),
        Some(_) if std::str::from_utf8(bytes).is_err() => "text that is not UTF-8".to_owned(),
        Some(_) => format!("no JSON ({})", engine::without_place(error)),
    }
}

fn quoted(account: &Account, bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(QUOTED * 4)];
    clipped(&account.masked(&String::from_utf8_lossy(head)))
}

fn clipped(text: &str) -> String {
    let line: Vec<_> = text.split_whitespace().collect();
    let line = line.join(" ");
    // A server's control characters could overwrite what a terminal shows.
    line.chars().filter(|character| !character.is_control()).take(QUOTED).collect()
}
