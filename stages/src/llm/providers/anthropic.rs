//! Anthropic's messages API, version 2023-06-01. Takes requests; gives replies.

use serde_json::{Value, json};

use super::{
    ProviderKind, Replies,
    families::Family,
    protocol::{Batches, Job, JobState, Meaning, Protocol, VendorError},
};
use crate::llm::{
    finish,
    request::{Reply, Request},
    usage::{self, Said},
};

pub(super) static KIND: ProviderKind = ProviderKind {
    name: "anthropic",
    summary: "Anthropic's models, by the messages protocol",
    example: "providers:\n  claude: { kind: anthropic, api_key: { env: ANTHROPIC_API_KEY } }\nstages:\n  answers: { uses: answer, in: { questions: questions }, with: { models: { medium: claude/claude-haiku-4-5 } } }\n",
    version: 1,
    check: |_, _| Ok(()),
    families: FAMILIES,
    replies: Replies::Called(&PROTOCOL),
};

/// The messages API has no seed, reasoning effort or JSON schema.
const LACKS: &[&str] = &["seed", "reasoning_effort", "schema"];

const NO_SAMPLING: &[&str] = &["seed", "reasoning_effort", "schema", "temperature", "top_p"];

const FAMILIES: &[Family] = &[
    Family { prefix: "", lacks: LACKS, reasons: false },
    Family { prefix: "claude-opus-4-7", lacks: NO_SAMPLING, reasons: false },
    Family { prefix: "claude-opus-4-8", lacks: NO_SAMPLING, reasons: false },
    Family { prefix: "claude-opus-5", lacks: NO_SAMPLING, reasons: false },
    Family { prefix: "claude-sonnet-5", lacks: NO_SAMPLING, reasons: false },
];

static PROTOCOL: Protocol = Protocol {
    base_url: "https://api.anthropic.com",
    key: "ANTHROPIC_API_KEY",
    url,
    key_header: ("x-api-key", str::to_owned),
    headers: &[("anthropic-version", "2023-06-01")],
    body,
    read,
    marks: &["stop_reason", "usage"],
    lacks: LACKS,
    id: "id",
    retry_after: |_| None,
    meaning,
    inner_statuses: &[("rate_limit", 429), ("authentication", 401), ("not_found", 404), ("invalid", 400)],
    limit_headers: ("anthropic-ratelimit-requests-limit", "anthropic-ratelimit-tokens-limit"),
    batches: Batches {
        most_requests: 100_000,
        most_bytes: 240 << 20,
        upload: None,
        submit: |job| {
            let requests: Vec<_> = job.requests.iter().map(|(name, body)| json!({ "custom_id": name, "params": body })).collect();
            (batches(job.base_url), json!({ "requests": requests }))
        },
        name: "id",
        list: |base_url| format!("{}?limit=100", batches(base_url)),
        find,
        address: |base_url, name| format!("{}/{name}", batches(base_url)),
        state: |base_url, batch| match batch.get("processing_status").and_then(Value::as_str) {
            Some("ended") => {
                let name = batch.get("id").and_then(Value::as_str).unwrap_or_default();
                JobState::Ended { files: vec![format!("{}/{name}/results", batches(base_url))], results: Vec::new() }
            }
            _ => JobState::Running,
        },
        result: |line| {
            let name = line.get("custom_id")?.as_str()?.to_owned();
            let result = line.get("result")?;
            let body = ["message", "error"].iter().find_map(|field| result.get(field));
            // A request that expired or was cancelled has no body, and may be sent again.
            let status = body.is_none().then_some(503);
            Some((name, status, body.cloned().unwrap_or_else(|| json!({ "error": { "message": result.get("type") } }))))
        },
    },
};

fn meaning(error: &VendorError<'_>) -> Option<Meaning> {
    match error.status {
        429 if error.code.contains("billing") => Some(Meaning::UsedUp),
        400 | 413 if error.said.contains("too long") => Some(Meaning::TooLong),
        _ => None,
    }
}

fn batches(base_url: &str) -> String {
    format!("{}/batches", url(base_url, ""))
}

/// Finds our job in a list. A job cannot have a name of ours, so it is the oldest in the list with enough requests that was created since. If it
/// is another job after all, its results have other names and are ignored.
fn find(list: &Value, job: &Job<'_>) -> Option<String> {
    let like_ours = |batch: &&Value| {
        let counts = batch.get("request_counts").and_then(Value::as_object);
        let requests: u64 = counts.into_iter().flat_map(|counts| counts.values()).filter_map(Value::as_u64).sum();
        let created = batch.get("created_at").and_then(Value::as_str).and_then(|at| at.parse::<jiff::Timestamp>().ok());
        requests >= job.requests && created.is_some_and(|at| at.as_second() + CLOCKS_APART >= job.since as i64)
    };
    list.get("data")?.as_array()?.iter().rfind(like_ours)?.get("id")?.as_str().map(str::to_owned)
}

/// How far the provider's clock may be behind ours, in seconds.
const CLOCKS_APART: i64 = 60;

fn url(base_url: &str, _: &str) -> String {
    let version = if base_url.ends_with("/v1") { "" } else { "/v1" };
    format!("{base_url}{version}/messages")
}

fn body(request: &Request) -> Value {
    let settings = &request.settings;
    let prompt = request.turns();
    let turns: Vec<_> = prompt.iter().filter(|message| message.role != "system").collect();
    let system: Vec<_> = prompt.iter().filter(|message| message.role == "system").map(|m| m.content.as_str()).collect();
    let mut body = json!({ "model": request.model, "messages": turns, "max_tokens": settings.max_output_tokens });
    let thinking = settings.thinking.filter(|tokens| *tokens > 0);
    for (name, value) in [
        ("system", (!system.is_empty()).then(|| json!(system.join("\n\n")))),
        ("temperature", settings.temperature.map(Value::from)),
        ("top_p", settings.top_p.map(Value::from)),
        ("stop_sequences", (!settings.stop.is_empty()).then(|| json!(settings.stop))),
        ("thinking", thinking.map(|tokens| json!({ "type": "enabled", "budget_tokens": tokens }))),
    ] {
        if let Some(value) = value {
            body[name] = value;
        }
    }
    body
}

fn read(request: &Request, body: &Value) -> Option<Reply> {
    let parts = body.get("content")?.as_array()?;
    let said = parts.iter().filter(|part| part.get("type").and_then(Value::as_str) == Some("text"));
    let text: String = said.filter_map(|part| part.get("text")?.as_str()).collect();
    let finish = body.get("stop_reason").and_then(Value::as_str).unwrap_or_default();
    let thought: String = parts.iter().filter_map(|part| part.get("thinking")?.as_str()).collect();
    let usage = usage::usage(&tokens_said(body.get("usage").unwrap_or(&Value::Null)), &request.prompt, text.len(), thought.len());
    Some(Reply {
        outcome: finish::outcome(finish, &text),
        reasoning: thought,
        error: String::new(),
        text: Some(text).filter(|text| !text.is_empty()),
        finish: finish.to_owned(),
        served: body.get("model").and_then(Value::as_str).unwrap_or(&request.model).to_owned(),
        usage,
    })
}

/// Reads what a reply says of its tokens. Those that are cached are not in `input_tokens`.
fn tokens_said(usage: &Value) -> Said {
    let tokens = |name: &str| usage::count(usage, name);
    let (cached, cache_write) = (tokens("/cache_read_input_tokens"), tokens("/cache_creation_input_tokens"));
    let beside = cached.unwrap_or(0).saturating_add(cache_write.unwrap_or(0));
    Said {
        input: tokens("/input_tokens").map(|input| input.saturating_add(beside)),
        output: tokens("/output_tokens"),
        cached,
        cache_write,
        ..Said::default()
    }
}
