//! Google's `generateContent` API, version v1beta. Takes requests; gives replies.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    ProviderKind, Replies,
    families::Family,
    protocol::{Batches, JobState, Meaning, Protocol, VendorError},
};
use crate::{
    llm::{
        finish::{self, Finish},
        request::{Reply, Request},
        usage::{self, Said},
    },
    rows::Outcome,
};

pub(super) static KIND: ProviderKind = ProviderKind {
    name: "gemini",
    summary: "Google's Gemini models",
    example: "providers:\n  gemini: { kind: gemini, api_key: { env: GEMINI_API_KEY }, concurrency: 64 }\nstages:\n  answers: { uses: answer, in: { questions: questions }, with: { models: { medium: gemini/gemini-3.8-flash } } }\n",
    version: 1,
    check: |_, _| Ok(()),
    families: FAMILIES,
    replies: Replies::Called(&PROTOCOL),
};

const SAMPLING: &[&str] = &["temperature", "top_p"];

const FAMILIES: &[Family] = &[
    Family { prefix: "", lacks: &["thinking", "reasoning_effort"], reasons: false },
    Family { prefix: "gemini-2.5", lacks: &["reasoning_effort"], reasons: true },
    Family { prefix: "gemini-3", lacks: &[], reasons: true },
    Family { prefix: "gemini-3.6", lacks: SAMPLING, reasons: true },
    Family { prefix: "gemini-3.7", lacks: SAMPLING, reasons: true },
    Family { prefix: "gemini-3.8", lacks: SAMPLING, reasons: true },
    Family { prefix: "gemini-4", lacks: SAMPLING, reasons: true },
];

static PROTOCOL: Protocol = Protocol {
    base_url: "https://generativelanguage.googleapis.com",
    key: "GEMINI_API_KEY",
    url,
    key_header: ("x-goog-api-key", str::to_owned),
    headers: &[],
    body,
    read,
    marks: &["candidates", "usageMetadata", "modelVersion", "responseId"],
    lacks: &[],
    id: "responseId",
    retry_after,
    meaning,
    inner_statuses: &[],
    limit_headers: ("x-ratelimit-limit-requests", "x-ratelimit-limit-tokens"),
    batches: Batches {
        most_requests: 50_000,
        // The requests are part of the submission itself, which may have up to 20 MB.
        most_bytes: 18_000_000,
        upload: None,
        submit: |job| {
            let requests = job.requests.iter();
            let requests: Vec<_> = requests.map(|(name, body)| json!({ "request": body, "metadata": { "key": name } })).collect();
            let batch = json!({ "display_name": job.job, "input_config": { "requests": { "requests": requests } } });
            (versioned(job.base_url, &format!("models/{}:batchGenerateContent", job.model)), json!({ "batch": batch }))
        },
        name: "name",
        list: |base_url| versioned(base_url, "batches?pageSize=100"),
        find: |list, job| {
            let name = |batch: &Value| batch.pointer("/metadata/displayName").and_then(Value::as_str).map(str::to_owned);
            let ours = |batch: &&Value| name(batch).as_deref() == Some(job.name);
            list.get("operations")?.as_array()?.iter().find(ours)?.get("name")?.as_str().map(str::to_owned)
        },
        address: versioned,
        state: batch_state,
        result: |item| {
            let key = item.pointer("/metadata/key").or_else(|| item.get("key"))?.as_str()?.to_owned();
            let code = item.pointer("/error/code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
            // Codes below 100 are gRPC's. Of these, only the listed ones say that the request itself is wrong.
            let status = code.map(|code| if code < 100 && ![3, 5, 7, 9, 11, 12].contains(&code) { 503 } else { 400 });
            Some((key, status, item.get("response").cloned().unwrap_or_else(|| item.clone())))
        },
    },
};

fn url(base_url: &str, model: &str) -> String {
    versioned(base_url, &format!("models/{model}:generateContent"))
}

fn versioned(base_url: &str, path: &str) -> String {
    let version = if base_url.ends_with("/v1beta") || base_url.ends_with("/v1") { "" } else { "/v1beta" };
    format!("{base_url}{version}/{path}")
}

fn batch_state(_: &str, operation: &Value) -> JobState {
    let state = operation.pointer("/metadata/state").and_then(Value::as_str).unwrap_or_default();
    let output = operation.get("response").or_else(|| operation.pointer("/metadata/output"));
    let results = output.and_then(|output| output.pointer("/inlinedResponses/inlinedResponses")).and_then(Value::as_array);
    let said = operation.pointer("/error/message").and_then(Value::as_str);
    if let Some(results) = results {
        return JobState::Ended { files: Vec::new(), results: results.clone() };
    }
    match state.rsplit('_').next().unwrap_or_default() {
        "FAILED" => JobState::Failed(said.unwrap_or("it failed").to_owned()),
        "CANCELLED" | "EXPIRED" | "SUCCEEDED" => JobState::Ended { files: Vec::new(), results: Vec::new() },
        _ => JobState::Running,
    }
}

fn body(request: &Request) -> Value {
    let settings = &request.settings;
    let part = |text: &str| json!([{ "text": text }]);
    let prompt = request.turns();
    let turns = prompt.iter().filter(|message| message.role != "system").map(|message| {
        let role = if message.role == "assistant" { "model" } else { "user" };
        json!({ "role": role, "parts": part(&message.content) })
    });
    let mut body = json!({ "contents": turns.collect::<Vec<_>>() });
    let system: Vec<_> = prompt.iter().filter(|message| message.role == "system").map(|m| m.content.as_str()).collect();
    if !system.is_empty() {
        body["systemInstruction"] = json!({ "parts": part(&system.join("\n\n")) });
    }
    let config = &mut body["generationConfig"];
    *config = json!({});
    for (name, value) in [
        ("maxOutputTokens", settings.max_output_tokens.map(Value::from)),
        ("temperature", settings.temperature.map(Value::from)),
        ("topP", settings.top_p.map(Value::from)),
        ("seed", settings.seed.map(Value::from)),
        ("stopSequences", (!settings.stop.is_empty()).then(|| json!(settings.stop))),
        ("thinkingConfig", settings.thinking.map(|tokens| json!({ "thinkingBudget": tokens }))),
        ("thinkingConfig", settings.reasoning_effort.as_ref().map(|effort| json!({ "thinkingLevel": effort }))),
        ("responseMimeType", settings.schema.is_some().then(|| json!("application/json"))),
        ("responseJsonSchema", settings.schema.clone().filter(|_| !request.dialect.json_object)),
    ] {
        if let Some(value) = value {
            config[name] = value;
        }
    }
    body
}

fn read(request: &Request, body: &Value) -> Option<Reply> {
    let blocked = body.pointer("/promptFeedback/blockReason").and_then(Value::as_str);
    let candidate = body.pointer("/candidates/0");
    if blocked.is_none() && candidate.is_none() {
        return None;
    }
    let parts = candidate.and_then(|candidate| candidate.pointer("/content/parts")).and_then(Value::as_array);
    let (thought, said): (Vec<_>, Vec<_>) =
        parts.into_iter().flatten().partition(|part| part.get("thought") == Some(&Value::Bool(true)));
    let texts = |parts: Vec<&Value>| parts.into_iter().filter_map(|part| part.get("text")?.as_str()).collect::<String>();
    let text = texts(said);
    let finish = candidate.and_then(|candidate| candidate.get("finishReason")).and_then(Value::as_str);
    let reason = finish.unwrap_or_default();
    let outcome = match (blocked, finish::meaning(reason)) {
        // The prompt was blocked; and reasons that were added later have all been reasons to block.
        (Some(_), _) | (None, None) => Outcome::Blocked,
        (None, Some(Finish::Astray)) => Outcome::Empty,
        (None, Some(_)) => finish::outcome(reason, &text),
    };
    let thought = texts(thought);
    let said = tokens_said(body.get("usageMetadata").unwrap_or(&Value::Null), candidate.is_some());
    let usage = usage::usage(&said, &request.prompt, text.len(), thought.len());
    Some(Reply {
        text: Some(text).filter(|text| !text.is_empty()),
        outcome,
        finish: blocked.or(finish).unwrap_or_default().to_owned(),
        served: body.get("modelVersion").and_then(Value::as_str).unwrap_or(&request.model).to_owned(),
        reasoning: thought,
        error: String::new(),
        usage,
    })
}

/// Reads what a reply says of its tokens. Where the prompt was blocked, nothing was generated.
fn tokens_said(usage: &Value, generated: bool) -> Said {
    let tokens = |name: &str| usage::count(usage, name);
    let tools = tokens("/toolUsePromptTokenCount").unwrap_or(0);
    Said {
        input: tokens("/promptTokenCount").map(|prompt| prompt.saturating_add(tools)),
        output: tokens("/candidatesTokenCount").or((!generated).then_some(0)),
        thinking: tokens("/thoughtsTokenCount"),
        thinking_beside: true,
        total: tokens("/totalTokenCount"),
        cached: tokens("/cachedContentTokenCount"),
        cache_write: None,
    }
}

fn meaning(error: &VendorError<'_>) -> Option<Meaning> {
    match error.status {
        429 if used_up_for_today(error.body) => Some(Meaning::UsedUp),
        400 | 413 if error.said.contains("too long") => Some(Meaning::TooLong),
        _ => None,
    }
}

/// Returns whether the error names a daily quota as used up.
fn used_up_for_today(error: &Value) -> bool {
    let details = error.pointer("/error/details").and_then(Value::as_array);
    let violations = details.into_iter().flatten().filter_map(|detail| detail.get("violations")?.as_array()).flatten();
    violations.filter_map(|violation| violation.get("quotaId")?.as_str()).any(|quota| quota.contains("PerDay"))
}

/// Returns the time in `RetryInfo.retryDelay`, such as `12.5s`.
fn retry_after(error: &Value) -> Option<Duration> {
    let details = error.pointer("/error/details")?.as_array()?;
    let delay = details.iter().find_map(|detail| detail.get("retryDelay")?.as_str())?;
    let seconds: f64 = delay.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}
