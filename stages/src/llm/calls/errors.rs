//! Errors in a server's own words. Takes a response that is no reply; gives what it means for the call, as a sentence for people.

use std::time::Duration;

use reqwest::{StatusCode, header::HeaderMap};
use serde_json::{Value, json};

use super::{
    account::Account,
    outcome::{Failed, Got, Why},
    pace::Announced,
    refused,
};
use crate::{
    llm::{
        providers::protocol::{Meaning, VendorError},
        request::{Reply, Request},
    },
    rows::Outcome,
};

/// The length to which a server's words are quoted, in characters.
const QUOTED: usize = 300;

/// Interprets a status other than success. An error that is about the prompt is a reply without an answer.
///
/// # Errors
/// Every other error, with whether the request may be tried again.
pub(crate) fn refusal(
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
    if schema_is_refused(account, request, &vendor_error) {
        return Err(Failed::NoSchema { message });
    }
    match ((account.protocol.meaning)(&vendor_error).or_else(|| refused::meaning(&vendor_error)), status.as_u16()) {
        (Some(Meaning::UsedUp), _) => {
            let help =
                format!("the quota of the account behind `{}` is used up: raise it, or wait until it is renewed", account.name);
            Err(Failed::Never { code: "quota".to_owned(), message, help: Some(help), perhaps_prompt: None })
        }
        (Some(Meaning::Blocked), _) => Ok(without_reply(Reply { finish: code, ..unanswered(request, Outcome::Blocked) })),
        (Some(Meaning::TooLong), _) => Ok(without_reply(refused(request, "context_length_exceeded", said))),
        (Some(Meaning::Refused), _) => Ok(without_reply(refused(request, &code, said))),
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
            let perhaps_prompt = refused::may_be_about_prompt(&vendor_error).then(|| said.clone());
            Err(Failed::Never { code: format!("{number} {code}"), message, help, perhaps_prompt })
        }
    }
}

fn unanswered(request: &Request, outcome: Outcome) -> Reply {
    Reply::without_text(outcome, &request.model)
}

/// Returns the reply that stands for an error of one prompt, with the provider's words.
pub(crate) fn refused(request: &Request, code: &str, said: String) -> Reply {
    let error = if said.trim().is_empty() { "refused without a word".to_owned() } else { said };
    Reply { finish: code.to_owned(), error, ..unanswered(request, Outcome::Error) }
}

pub(crate) fn without_reply(reply: Reply) -> Got {
    Got { reply, id: None, announced: Announced::default() }
}

/// What errors say about a JSON schema that a server does not take.
const SCHEMA_WORDS: [&str; 9] = [
    "response_format",
    "response format",
    "schema",
    "structured output",
    "structured_output",
    "guided",
    "grammar",
    "json mode",
    "json_object",
];

/// Returns whether a request should be sent again without its schema: the server names it, or refuses the model's first request with one.
fn schema_is_refused(account: &Account, request: &Request, error: &VendorError<'_>) -> bool {
    if request.settings.schema.is_none() || account.protocol.lacks.contains(&"schema") || refused::meaning(error).is_some() {
        return false;
    }
    let text = format!("{} {}", error.code, error.said).to_lowercase();
    let is_named = SCHEMA_WORDS.iter().any(|word| text.contains(word));
    match error.status {
        400 | 422 | 501 => is_named || !account.schemas.are_taken(&request.model) && !text.contains("api key"),
        404 | 405 | 415 | 500 => is_named,
        _ => false,
    }
}

/// Returns the status that an error in the body of a successful response stands for.
pub(crate) fn inner_status(account: &Account, value: &Value) -> Option<StatusCode> {
    let nothing = |error: &&Value| error.is_null() || matches!(error.as_str(), Some("")) || **error == Value::Bool(false);
    let error = value.get("error").filter(|error| !nothing(error) && **error != json!({}))?;
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
    let inner = error.get("error").unwrap_or(error);
    ["code", "status", "type"].iter().find_map(|name| inner.get(*name)?.as_str().map(str::to_owned))
}

/// The longest time that is told from longer ones, in seconds: some servers send a date in milliseconds.
const LONGEST: f64 = 1e9;

/// Returns the time in `retry-after-ms` or in `retry-after`, which is in seconds or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |name: &str| text(name)?.parse::<f64>().ok().filter(|number| !number.is_nan());
    let date = |name: &str| {
        let at = jiff::fmt::rfc2822::parse(text(name)?).ok()?;
        Some(at.timestamp().as_second() as f64 - jiff::Timestamp::now().as_second() as f64)
    };
    let seconds = number("retry-after-ms").map(|milliseconds| milliseconds / 1000.0);
    let seconds = seconds.or_else(|| number("retry-after")).or_else(|| date("retry-after"))?;
    Some(Duration::from_secs_f64(seconds.clamp(0.0, LONGEST)))
}

pub(crate) fn place(account: &Account, request: &Request) -> String {
    format!("`{}/{}` at {}", account.name, request.model, request.base_url)
}

pub(crate) fn what_it_is(bytes: &[u8], error: &serde_json::Error) -> String {
    let start = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    match start {
        None => "nothing".to_owned(),
        Some(b'<') => "a page of HTML; is `base_url` right?".to_owned(),
        Some(_) if std::str::from_utf8(bytes).is_err() => "text that is not UTF-8".to_owned(),
        Some(_) => format!("no JSON ({})", engine::without_place(error)),
    }
}

pub(crate) fn quoted(account: &Account, bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(QUOTED * 4)];
    clipped(&account.masked(&String::from_utf8_lossy(head)))
}

fn clipped(text: &str) -> String {
    let line: Vec<_> = text.split_whitespace().collect();
    let line = line.join(" ");
    // A server's control characters could overwrite what a terminal shows.
    line.chars().filter(|character| !character.is_control()).take(QUOTED).collect()
}
