//! `mode: batch`: jobs at providers, submitted once whatever happens.

use std::{
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    place::Place,
    server::{Answer, Request, Server},
};

/// What a provider of jobs remembers.
#[derive(Default)]
struct Desk {
    jobs: Mutex<Vec<Job>>,
    uploads: Mutex<Vec<Vec<(String, Value)>>>,
    /// Jobs end.
    open: AtomicBool,
    /// The next submission is taken, and its answer lost.
    loses: AtomicBool,
    looks: AtomicUsize,
}

struct Job {
    /// Our name of it.
    name: String,
    requests: Vec<(String, Value)>,
}

fn place(kind: &str, url: &str, questions: usize, mode: &str) -> Place {
    let place = Place::new();
    let row = |number| json!({ "id": format!("q{number}"), "question": format!("What is {number}?"), "gold": "x" }).to_string();
    fs::write(place.path("q.jsonl"), (0..questions).map(row).collect::<Vec<_>>().join("\n")).unwrap();
    write_manifest(&place, kind, url, mode);
    place
}

fn write_manifest(place: &Place, kind: &str, url: &str, mode: &str) {
    let manifest = format!(
        "version: 1
name: test
providers:
  p: {{ kind: {kind}, base_url: \"{url}\", mode: {mode} }}
prices:
  p/m: {{ input: 1, output: 2, batch: 0.5, source: test, date: 2026-11-24 }}
stages:
  questions: {{ uses: benchmark, with: {{ name: jsonl, path: q.jsonl }} }}
  answers: {{ uses: answer, in: {{ questions: questions }}, with: {{ models: {{ medium: p/m }} }} }}
"
    );
    fs::write(place.path("m.yaml"), manifest).unwrap();
}

/// The reply to a request of the protocol: its question said again.
fn reply(kind: &str, body: &Value) -> Value {
    match kind {
        "gemini" => json!({
            "candidates": [{ "content": { "parts": [{ "text": body["contents"][0]["parts"][0]["text"] }] }, "finishReason": "STOP" }],
            "usageMetadata": { "promptTokenCount": 10, "candidatesTokenCount": 5 }, "modelVersion": "m",
        }),
        "openai" => json!({
            "model": "m", "choices": [{ "message": { "content": body["messages"][0]["content"] }, "finish_reason": "stop" }],
            "usage": { "prompt_tokens": 10, "completion_tokens": 5 },
        }),
        _ => json!({
            "model": "m", "content": [{ "type": "text", "text": body["messages"][0]["content"] }], "stop_reason": "end_turn",
            "usage": { "input_tokens": 10, "output_tokens": 5 },
        }),
    }
}

fn lines(values: impl Iterator<Item = Value>) -> Answer {
    Answer::raw(200, values.flat_map(|value| [value.to_string(), "\n".to_owned()]).collect::<String>())
}

fn pairs(list: &Value, name: &str, body: &str) -> Vec<(String, Value)> {
    let pair = |item: &Value| (item.pointer(name).unwrap().as_str().unwrap().to_owned(), item.pointer(body).unwrap().clone());
    list.as_array().unwrap().iter().map(pair).collect()
}

impl Desk {
    /// Takes a job, and loses the answer where it is to.
    fn take(&self, name: &str, requests: Vec<(String, Value)>, answer: impl Fn(usize) -> Value) -> Answer {
        let mut jobs = self.jobs.lock().unwrap();
        jobs.push(Job { name: name.to_owned(), requests });
        if self.loses.swap(false, Ordering::SeqCst) {
            return Answer::raw(503, "lost");
        }
        Answer::json(200, &answer(jobs.len() - 1))
    }

    fn is_open(&self) -> bool {
        self.looks.fetch_add(1, Ordering::SeqCst);
        self.open.load(Ordering::SeqCst)
    }

    fn results(&self, kind: &str, job: usize) -> Vec<(String, Value)> {
        let jobs = self.jobs.lock().unwrap();
        jobs[job].requests.iter().map(|(name, body)| (name.clone(), reply(kind, body))).collect()
    }

    fn openai(&self, request: &Request) -> Answer {
        let path = request.path.as_str();
        let number = |text: &str| text.rsplit(['-', '/']).find_map(|part| part.parse::<usize>().ok()).unwrap();
        let batch = |index: usize, name: &str, open: bool| {
            let status = if open { "completed" } else { "in_progress" };
            json!({ "id": format!("batch-{index}"), "status": status, "output_file_id": format!("out-{index}"), "metadata": { "job": name } })
        };
        match path.split('?').next().unwrap() {
            "/files" => {
                assert!(request.raw.contains("batch"), "{}", request.raw);
                let rows = request.raw.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
                let rows = Value::Array(rows.filter(|row| row.get("custom_id").is_some()).collect());
                let mut uploads = self.uploads.lock().unwrap();
                uploads.push(pairs(&rows, "/custom_id", "/body"));
                Answer::json(200, &json!({ "id": format!("file-{}", uploads.len() - 1) }))
            }
            "/batches" if request.raw.starts_with("POST") => {
                let file = number(request.body["input_file_id"].as_str().unwrap());
                let requests = self.uploads.lock().unwrap()[file].clone();
                self.take(request.body["metadata"]["job"].as_str().unwrap(), requests, |index| batch(index, "", false))
            }
            "/batches" => {
                let jobs = self.jobs.lock().unwrap();
                let list: Vec<_> = jobs.iter().enumerate().rev().map(|(index, job)| batch(index, &job.name, false)).collect();
                Answer::json(200, &json!({ "data": list }))
            }
            path if path.starts_with("/batches/") => Answer::json(200, &batch(number(path), "", self.is_open())),
            path => {
                let job = number(path.trim_end_matches("/content"));
                let result = |(name, body)| json!({ "custom_id": name, "response": { "status_code": 200, "body": body } });
                lines(self.results("openai", job).into_iter().map(result))
            }
        }
    }

    fn anthropic(&self, request: &Request) -> Answer {
        let batch = |index: usize, open: bool, requests: usize| {
            let status = if open { "ended" } else { "in_progress" };
            json!({ "id": format!("b{index}"), "processing_status": status, "created_at": "2999-01-01T00:00:00Z", "request_counts": { "processing": requests } })
        };
        let number = |path: &str| path.split("/b").nth(2).unwrap().trim_end_matches("/results").parse::<usize>().unwrap();
        match request.path.split('?').next().unwrap() {
            "/v1/messages/batches" if request.raw.starts_with("POST") => {
                let requests = pairs(&request.body["requests"], "/custom_id", "/params");
                self.take("", requests, |index| batch(index, false, 0))
            }
            "/v1/messages/batches" => {
                let jobs = self.jobs.lock().unwrap();
                let list: Vec<_> =
                    jobs.iter().enumerate().rev().map(|(index, job)| batch(index, false, job.requests.len())).collect();
                Answer::json(200, &json!({ "data": list }))
            }
            path if path.ends_with("/results") => {
                let result = |(name, body)| json!({ "custom_id": name, "result": { "type": "succeeded", "message": body } });
                lines(self.results("anthropic", number(path)).into_iter().map(result))
            }
            path => Answer::json(200, &batch(number(path), self.is_open(), 0)),
        }
    }

    fn gemini(&self, request: &Request) -> Answer {
        match request.path.split('?').next().unwrap() {
            "/v1beta/models/m:batchGenerateContent" => {
                let batch = &request.body["batch"];
                let requests = pairs(&batch["input_config"]["requests"]["requests"], "/metadata/key", "/request");
                self.take(
                    batch["display_name"].as_str().unwrap(),
                    requests,
                    |index| json!({ "name": format!("batches/{index}") }),
                )
            }
            "/v1beta/batches" => {
                let jobs = self.jobs.lock().unwrap();
                let operation = |(index, job): (usize, &Job)| json!({ "name": format!("batches/{index}"), "metadata": { "displayName": job.name } });
                Answer::json(200, &json!({ "operations": jobs.iter().enumerate().map(operation).collect::<Vec<_>>() }))
            }
            _ if !self.is_open() => Answer::json(200, &json!({ "metadata": { "state": "BATCH_STATE_RUNNING" } })),
            path => {
                let job = path.rsplit('/').next().unwrap().parse().unwrap();
                let item = |(name, body)| json!({ "metadata": { "key": name }, "response": body });
                let items: Vec<_> = self.results("gemini", job).into_iter().map(item).collect();
                let response = json!({ "inlinedResponses": { "inlinedResponses": items } });
                Answer::json(
                    200,
                    &json!({ "done": true, "metadata": { "state": "BATCH_STATE_SUCCEEDED" }, "response": response }),
                )
            }
        }
    }
}

const KINDS: [&str; 3] = ["openai", "anthropic", "gemini"];

fn server(kind: &'static str) -> (Server, Arc<Desk>) {
    let desk = Arc::new(Desk::default());
    let behind = Arc::clone(&desk);
    let server = Server::new(move |request, _| match kind {
        "openai" => behind.openai(request),
        "anthropic" => behind.anthropic(request),
        _ => behind.gemini(request),
    });
    (server, desk)
}

const RUN: [&str; 4] = ["run", "m.yaml", "--budget", "1"];

fn check(place: &Place, questions: usize) {
    let rows = place.rows(&["m.yaml", "answers"]);
    assert_eq!(rows.len(), questions);
    for (number, row) in rows.iter().enumerate() {
        assert_eq!(row["text"], format!("What is {number}?"), "{row}");
    }
}

#[test]
fn a_job_brings_the_rows_that_single_calls_would_at_the_price_of_jobs() {
    for kind in KINDS {
        let (server, desk) = server(kind);
        desk.open.store(true, Ordering::SeqCst);
        let place = place(kind, &server.url(), 30, "batch");
        let ran = place.call(&RUN);
        assert!(ran.status.success(), "{kind}: {}", String::from_utf8_lossy(&ran.stderr));
        check(&place, 30);
        assert_eq!(desk.jobs.lock().unwrap().len(), 1, "{kind}");
        let spent = String::from_utf8(place.call(&["spent"]).stdout).unwrap();
        // 30 calls of 10 tokens at $1 and 5 at $2 a million, by half.
        assert!(spent.contains("$0.0003"), "{kind}: {spent}");
        write_manifest(&place, kind, &server.url(), "interactive");
        let before = server.count();
        assert!(place.call(&["run", "m.yaml", "--budget", "1", "--force", "answers"]).status.success());
        assert_eq!(server.count(), before, "{kind}: the replies are those of single calls");
    }
}

#[test]
fn a_killed_run_finds_its_job_again() {
    for kind in KINDS {
        let (server, desk) = server(kind);
        let place = place(kind, &server.url(), 10, "batch");
        let mut child = place.command(&RUN).spawn().unwrap();
        let started = Instant::now();
        while desk.looks.load(Ordering::SeqCst) == 0 {
            assert!(started.elapsed() < Duration::from_secs(30), "{kind}: nobody looks at the job");
            std::thread::sleep(Duration::from_millis(10));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        desk.open.store(true, Ordering::SeqCst);
        assert!(place.call(&RUN).status.success(), "{kind}");
        check(&place, 10);
        assert_eq!(desk.jobs.lock().unwrap().len(), 1, "{kind}: no job was submitted twice");
    }
}

#[test]
fn a_job_whose_submission_went_unanswered_is_looked_for() {
    for kind in KINDS {
        let (server, desk) = server(kind);
        desk.open.store(true, Ordering::SeqCst);
        desk.loses.store(true, Ordering::SeqCst);
        let place = place(kind, &server.url(), 5, "batch");
        assert!(place.call(&RUN).status.success(), "{kind}");
        check(&place, 5);
        assert_eq!(desk.jobs.lock().unwrap().len(), 1, "{kind}: no job was submitted twice");
    }
}

#[test]
fn what_a_job_leaves_unanswered_goes_into_the_next_one() {
    let (server, desk) = (Mutex::new(0), Arc::new(Desk::default()));
    desk.open.store(true, Ordering::SeqCst);
    let behind = Arc::clone(&desk);
    let server = Server::new(move |request, _| {
        let answer = behind.anthropic(request);
        if !request.path.ends_with("/results") {
            return answer;
        }
        let mut times = server.lock().unwrap();
        *times += 1;
        let mut rows: Vec<Value> =
            String::from_utf8(answer.body).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        if *times == 1 {
            rows[0]["result"] = json!({ "type": "expired" });
            rows[1]["result"] = json!({ "type": "errored", "error": { "type": "error", "error": { "type": "overloaded_error", "message": "busy" } } });
            rows.pop();
        }
        lines(rows.into_iter())
    });
    let place = place("anthropic", &server.url(), 6, "batch");
    assert!(place.call(&RUN).status.success());
    check(&place, 6);
    let sizes: Vec<_> = desk.jobs.lock().unwrap().iter().map(|job| job.requests.len()).collect();
    assert_eq!(sizes, [6, 3]);
}

#[test]
fn a_job_that_fails_says_why() {
    let server = Server::new(|request, _| match (request.path.as_str(), request.raw.starts_with("POST")) {
        ("/files", _) => Answer::json(200, &json!({ "id": "file" })),
        (_, true) => Answer::json(200, &json!({ "id": "batch" })),
        _ => Answer::json(200, &json!({ "status": "failed", "errors": { "data": [{ "message": "line 1: no such model" }] } })),
    });
    let place = place("openai", &server.url(), 3, "batch");
    let ran = place.call(&RUN);
    let err = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(4), "{err}");
    assert!(err.contains("no such model") && err.contains("question `q"), "{err}");
}
