//! The chat completions API of `OpenAI`, and of every server that has the same: vLLM, Ollama, llama.cpp, `OpenRouter`, `LiteLLM`. Takes
//! requests; gives replies.

use serde_json::{Value, json};

use super::{
    ProviderKind, Replies,
    families::{self, Family},
    protocol::{Batches, JobState, Meaning, Protocol, VendorError},
};
use crate::{
    llm::{
        finish,
        request::{Reply, Request},
        usage::{self, Said},
    },
    rows::Outcome,
};

pub(super) static KIND: ProviderKind = ProviderKind {
    name: "openai",
    summary: "OpenAI's models, and every server that speaks its chat completions: vLLM, Ollama, llama.cpp, OpenRouter",
    example: "providers:\n  server: { kind: openai, base_url: http://localhost:8000/v1 }\nstages:\n  answers: { uses: answer, in: { questions: questions }, with: { models: { medium: server/qwen3-8b } } }\n",
    version: 1,
    check: |_, _| Ok(()),
    families: FAMILIES,
    replies: Replies::Called(&PROTOCOL),
};

const REASONING_LACKS: &[&str] = &["thinking", "temperature", "top_p", "stop"];

const FAMILIES: &[Family] = &[
    Family { prefix: "", lacks: &["thinking"], reasons: false },
    Family { prefix: "gpt-5", lacks: REASONING_LACKS, reasons: true },
    Family { prefix: "o1", lacks: REASONING_LACKS, reasons: true },
    Family { prefix: "o3", lacks: REASONING_LACKS, reasons: true },
    Family { prefix: "o4", lacks: REASONING_LACKS, reasons: true },
];

static PROTOCOL: Protocol = Protocol {
    base_url: "https://api.openai.com/v1",
    key: "OPENAI_API_KEY",
    url: |base_url, _| format!("{base_url}/chat/completions"),
    key_header: ("authorization", |key| format!("Bearer {key}")),
    headers: &[],
    body,
    read,
    marks: &["choices", "usage"],
    lacks: &["thinking"],
    id: "id",
    retry_after: |_| None,
    meaning,
    inner_statuses: &[
        ("rate_limit", 429),
        ("authentication", 401),
        ("invalid_api_key", 401),
        ("not_found", 404),
        ("invalid", 400),
    ],
    limit_headers: ("x-ratelimit-limit-requests", "x-ratelimit-limit-tokens"),
    batches: Batches {
        most_requests: 50_000,
        most_bytes: 190 << 20,
        upload: Some((|base_url| format!("{base_url}/files"), line)),
        submit: |job| {
            let body = json!({
                "input_file_id": job.file, "endpoint": ENDPOINT, "completion_window": "24h", "metadata": { "job": job.job },
            });
            (format!("{}/batches", job.base_url), body)
        },
        name: "id",
        list: |base_url| format!("{base_url}/batches?limit=100"),
        find: |list, job| {
            let ours = |batch: &&Value| batch.pointer("/metadata/job").and_then(Value::as_str) == Some(job.name);
            list.get("data")?.as_array()?.iter().find(ours)?.get("id")?.as_str().map(str::to_owned)
        },
        address: |base_url, name| format!("{base_url}/batches/{name}"),
        state: batch_state,
        result: |line| {
            let name = line.get("custom_id")?.as_str()?.to_owned();
            let status = line.pointer("/response/status_code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
            let body = line.pointer("/response/body").cloned();
            Some((name, status, body.unwrap_or_else(|| json!({ "error": line.get("error") }))))
        },
    },
};

/// The endpoint that a batch of chat completions names.
const ENDPOINT: &str = "/v1/chat/completions";

fn meaning(error: &VendorError<'_>) -> Option<Meaning> {
    let VendorError { status, code, said, .. } = error;
    match status {
        429 if code.contains("insufficient_quota") || code.contains("billing") => Some(Meaning::UsedUp),
        400 if code.contains("content_filter") || code.contains("content_policy") => Some(Meaning::Blocked),
        400 | 413 if code.contains("context_length") || said.contains("context length") || said.contains("too long") => {
            Some(Meaning::TooLong)
        }
        _ => None,
    }
}

fn line(name: &str, body: &Value) -> Value {
    json!({ "custom_id": name, "method": "POST", "url": ENDPOINT, "body": body })
}

fn batch_state(base_url: &str, batch: &Value) -> JobState {
    let said = batch.pointer("/errors/data/0/message").and_then(Value::as_str);
    match batch.get("status").and_then(Value::as_str).unwrap_or_default() {
        "completed" | "expired" | "cancelled" => {
            let files = ["output_file_id", "error_file_id"].iter().filter_map(|field| batch.get(field)?.as_str());
            let files = files.map(|file| format!("{base_url}/files/{file}/content")).collect();
            JobState::Ended { files, results: Vec::new() }
        }
        "failed" => JobState::Failed(said.unwrap_or("it failed").to_owned()),
        _ => JobState::Running,
    }
}

fn body(request: &Request) -> Value {
    let settings = &request.settings;
    let mut body = json!({ "model": request.model, "messages": request.turns() });
    let reasons = families::find(FAMILIES, &request.model).is_some_and(|family| family.reasons);
    let cap = if request.dialect.max_completion_tokens.unwrap_or(reasons) { "max_completion_tokens" } else { "max_tokens" };
    let format = |schema: &Value| {
        if request.dialect.json_object {
            json!({ "type": "json_object" })
        } else {
            json!({ "type": "json_schema", "json_schema": { "name": "answer", "strict": true, "schema": schema } })
        }
    };
    for (name, value) in [
        (cap, settings.max_output_tokens.map(Value::from)),
        ("temperature", settings.temperature.map(Value::from)),
        ("top_p", settings.top_p.map(Value::from)),
        ("seed", settings.seed.map(Value::from)),
        ("stop", (!settings.stop.is_empty()).then(|| json!(settings.stop))),
        ("reasoning_effort", settings.reasoning_effort.as_deref().map(Value::from)),
        ("response_format", settings.schema.as_ref().map(format)),
    ] {
        if let Some(value) = value {
            body[name] = value;
        }
    }
    body
}

fn read(request: &Request, body: &Value) -> Option<Reply> {
    let choice = body.pointer("/choices/0")?;
    let message = choice.get("message")?;
    let text = match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts.iter().filter_map(|part| part.get("text")?.as_str()).collect(),
        _ => String::new(),
    };
    let refusal = message.get("refusal").and_then(Value::as_str).filter(|refusal| !refusal.is_empty());
    let finish = choice.get("finish_reason").and_then(Value::as_str).unwrap_or_default();
    let outcome = match finish::outcome(finish, &text) {
        blocked @ Outcome::Blocked => blocked,
        _ if refusal.is_some() => Outcome::Refused,
        other => other,
    };
    let reasoning = ["reasoning_content", "reasoning"].iter().find_map(|name| message.get(*name)?.as_str()).unwrap_or_default();
    let said = tokens_said(body.get("usage").unwrap_or(&Value::Null));
    let usage = usage::usage(&said, &request.prompt, text.len(), reasoning.len());
    Some(Reply {
        usage,
        text: Some(refusal.map_or(text, str::to_owned)).filter(|text| !text.is_empty()),
        outcome,
        finish: finish.to_owned(),
        served: body.get("model").and_then(Value::as_str).unwrap_or(&request.model).to_owned(),
        reasoning: reasoning.to_owned(),
        error: String::new(),
    })
}

/// Reads what a reply says of its tokens, in the words of the several servers.
fn tokens_said(usage: &Value) -> Said {
    let tokens = |paths: &[&str]| paths.iter().find_map(|path| usage::count(usage, path));
    Said {
        input: tokens(&["/prompt_tokens", "/input_tokens"]),
        output: tokens(&["/completion_tokens", "/output_tokens"]),
        thinking: tokens(&[
            "/completion_tokens_details/reasoning_tokens",
            "/output_tokens_details/reasoning_tokens",
            "/reasoning_tokens",
        ]),
        total: tokens(&["/total_tokens"]),
        cached: tokens(&[
            "/prompt_tokens_details/cached_tokens",
            "/input_tokens_details/cached_tokens",
            "/prompt_cache_hit_tokens",
        ]),
        ..Said::default()
    }
}
