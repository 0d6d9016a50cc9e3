//! Calls in batch mode. Takes requests to an account whose `mode` is `batch`; gives each request's reply when its job at the provider ends.
//!
//! The job of each request is recorded before the job is submitted, and the provider's name of the job after that. So a later run, also one
//! after a kill, finds the job and submits nothing twice.

use std::{collections::BTreeMap, mem, sync::Arc, time::Duration};

use engine::{Context, StageError};
use rand::Rng as _;
use reqwest::multipart::{Form, Part};
use serde_json::Value;
use tokio::sync::oneshot;

use super::{
    account::Account,
    errors, http,
    outcome::{Failed, Got, Why},
    queue::Waiting,
    retry::{TRIES, jitter},
};
use crate::llm::{
    providers::protocol::{Job, JobState, Submission},
    request::Request,
};

/// Rows in flight: as many as the largest job that a provider takes has requests.
pub(crate) const ROWS_IN_FLIGHT: usize = 50_000;

/// A job is made when no further request has come for this time.
const QUIET: Duration = Duration::from_millis(500);

/// Time between two looks at a job: at first, and at most.
const SHORT_WAIT: Duration = Duration::from_millis(500);
const LONG_WAIT: Duration = Duration::from_mins(1);

/// The number of jobs without an answer after which a request fails.
const JOBS: u32 = 3;

/// Puts a request into a job with others, under this name, and waits for its reply.
///
/// # Errors
/// The job or the request fails for good, or the run is to stop.
pub(crate) async fn call(ctx: &Context, account: &Arc<Account>, request: &Request, name: String) -> Result<Got, StageError> {
    account.circuit()?;
    let (reply, replied) = oneshot::channel();
    wait_for_job(ctx, account, Waiting { name, request: request.clone(), reply, jobs: 0 });
    tokio::select! {
        got = replied => got.unwrap_or(Err(StageError::cancelled())),
        () = ctx.cancellation().cancelled() => Err(StageError::cancelled()),
    }
}

fn wait_for_job(ctx: &Context, account: &Arc<Account>, waiting: Waiting) {
    let mut queue = account.batch.queue();
    queue.push(waiting);
    if queue.len() == 1 {
        tokio::spawn(collect(ctx.clone(), Arc::clone(account)));
    }
}

/// Waits until no more requests come, and puts each into the job that it was in before, or into a new one.
async fn collect(ctx: Context, account: Arc<Account>) {
    let mut count = 0;
    loop {
        tokio::time::sleep(QUIET).await;
        let now = account.batch.queue().len();
        if now == count {
            break;
        }
        count = now;
    }
    let waiting = mem::take(&mut *account.batch.queue());
    let names: Vec<_> = waiting.iter().map(|waiting| waiting.name.clone()).collect();
    let jobs = match ctx.submitted(&names) {
        Ok(jobs) => jobs,
        Err(error) => return fail(waiting, &error),
    };
    let mut submitted: BTreeMap<String, Vec<Waiting>> = BTreeMap::new();
    let mut new: BTreeMap<String, Vec<Waiting>> = BTreeMap::new();
    for (waiting, job) in waiting.into_iter().zip(jobs) {
        match job.filter(|_| waiting.jobs == 0) {
            Some(job) => submitted.entry(job).or_default().push(waiting),
            None => new.entry(waiting.request.model.clone()).or_default().push(waiting),
        }
    }
    for (job, waiting) in submitted {
        tokio::spawn(see_through(ctx.clone(), Arc::clone(&account), job, waiting, true));
    }
    for waiting in new.into_values().flat_map(|waiting| parts(&account, waiting)) {
        let names: Vec<_> = waiting.iter().map(|waiting| waiting.name.clone()).collect();
        let job = new_name();
        match ctx.submit(&names, &job) {
            Ok(()) => {
                tokio::spawn(see_through(ctx.clone(), Arc::clone(&account), job, waiting, false));
            }
            Err(error) => fail(waiting, &error),
        }
    }
}

fn fail(waiting: Vec<Waiting>, error: &StageError) {
    for waiting in waiting {
        // Sending fails if the run was stopped and the caller has given up.
        let _unheard = waiting.reply.send(Err(error.clone()));
    }
}

/// Returns a new name for a job, of our own, with the time in it.
fn new_name() -> String {
    format!("fingerpost-{}-{:016x}", jiff::Timestamp::now().as_second(), rand::rng().random::<u64>())
}

fn since(job: &str) -> u64 {
    job.split('-').nth(1).and_then(|seconds| seconds.parse().ok()).unwrap_or(0)
}

/// Splits requests into parts that each fit into a job.
fn parts(account: &Account, waiting: Vec<Waiting>) -> Vec<Vec<Waiting>> {
    let batches = &account.protocol.batches;
    let mut parts = vec![Vec::new()];
    let mut bytes = 0;
    for waiting in waiting {
        // 256 bytes are for the request's name and the JSON around it.
        let size = account.body(&waiting.request).to_string().len() + 256;
        let last = parts.last_mut().expect("there is one from the start");
        if !last.is_empty() && (last.len() == batches.most_requests || bytes + size > batches.most_bytes) {
            bytes = size;
            parts.push(vec![waiting]);
        } else {
            bytes += size;
            last.push(waiting);
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// Follows a job to its end, whichever process submitted it, and gives its results to the callers that wait for them.
async fn see_through(ctx: Context, account: Arc<Account>, job: String, waiting: Vec<Waiting>, old: bool) {
    let Some(sample) = waiting.first().map(|waiting| waiting.request.clone()) else { return };
    let desk = Desk { ctx: &ctx, account: &account, sample, job: &job };
    let mut waiting: BTreeMap<_, _> = waiting.into_iter().map(|waiting| (waiting.name.clone(), waiting)).collect();
    let ended = desk.through(&mut waiting, old).await;
    let left: Vec<_> = waiting.into_values().collect();
    match ended {
        // Requests that expired, were cancelled, or were refused for a reason that may be gone get another job.
        Ok(()) => {
            for mut waiting in left {
                waiting.jobs += 1;
                if waiting.jobs < JOBS {
                    wait_for_job(&ctx, &account, waiting);
                } else {
                    fail(vec![waiting], &StageError::transient(format!("{}: no job brought an answer", desk.place())));
                }
            }
        }
        Err(error) => fail(left, &error),
    }
}

/// A job and what is needed to ask its provider about it.
struct Desk<'a> {
    ctx: &'a Context,
    account: &'a Account,
    /// A request of the job: all of them go to the same address and model.
    sample: Request,
    /// Our name of the job.
    job: &'a str,
}

impl Desk<'_> {
    fn place(&self) -> String {
        format!("`{}/{}` at {}", self.account.name, self.sample.model, self.sample.base_url)
    }

    /// Submits the job unless it was submitted before, waits for its end, and hands out its results. Requests without a result stay in
    /// `waiting`. An `old` job was recorded by an earlier process.
    async fn through(&self, waiting: &mut BTreeMap<String, Waiting>, old: bool) -> Result<(), StageError> {
        let pin = format!("job {} {} {}", self.sample.provider, self.sample.base_url, self.job);
        let known = match self.ctx.pinned(&pin)? {
            None if old => self.find(waiting.len()).await?,
            known => known,
        };
        let name = match known {
            Some(name) => {
                self.ctx.say(format!("{} requests are in the job `{name}` already", waiting.len()));
                name
            }
            // The job is new, or the process that recorded it died before it submitted it.
            None => self.submit(waiting).await?,
        };
        self.ctx.pin(&pin, &name)?;
        let Some((files, results)) = self.ended(&name).await? else { return Ok(()) };
        for value in results {
            self.hand_over(waiting, &value);
        }
        for file in files {
            let mut tries = 0;
            // A request whose result was handed out before the connection broke is no longer in `waiting`, so it gets no second one.
            while let Err(failed) = http::lines(self.account, &self.sample, &file, |line| self.hand_over(waiting, &line)).await {
                let pause = self.pause(failed, &mut tries)?;
                self.sleep(pause).await?;
            }
        }
        Ok(())
    }

    /// Submits the job exactly once: after a failure that leaves open whether it was submitted, the provider's list is searched for it first.
    async fn submit(&self, waiting: &BTreeMap<String, Waiting>) -> Result<String, StageError> {
        let batches = &self.account.protocol.batches;
        let requests: Vec<_> =
            waiting.values().map(|waiting| (waiting.name.clone(), self.account.body(&waiting.request))).collect();
        let file = match batches.upload {
            None => String::new(),
            Some((url, line)) => self.upload(&url(&self.sample.base_url), line, &requests).await?,
        };
        let (url, body) = (batches.submit)(&Submission {
            base_url: &self.sample.base_url,
            model: &self.sample.model,
            job: self.job,
            requests: if file.is_empty() { &requests } else { &[] },
            file: &file,
        });
        let body = body.to_string();
        let mut tries = 0;
        loop {
            let post = self.account.client.post(&url).header("content-type", "application/json").body(body.clone());
            let pause = match http::ask(self.account, &self.sample, post).await {
                Ok(answer) => {
                    let name = self.name(&answer)?;
                    self.ctx.say(format!(
                        "{} requests are in the job `{name}`; a run that is stopped finds it again",
                        requests.len()
                    ));
                    self.account.succeeded();
                    return Ok(name);
                }
                Err(failed) => self.pause(failed, &mut tries)?,
            };
            self.sleep(pause).await?;
            if let Some(name) = self.find(requests.len()).await? {
                return Ok(name);
            }
        }
    }

    async fn upload(
        &self,
        url: &str,
        line: fn(&str, &Value) -> Value,
        requests: &[(String, Value)],
    ) -> Result<String, StageError> {
        let lines: String = requests.iter().flat_map(|(name, body)| [line(name, body).to_string(), "\n".to_owned()]).collect();
        let answer = self
            .patiently(|| {
                let file = Part::bytes(lines.clone().into_bytes()).file_name(format!("{}.jsonl", self.job));
                let form = Form::new().text("purpose", "batch").part("file", file);
                http::ask(self.account, &self.sample, self.account.client.post(url).multipart(form))
            })
            .await?;
        self.name(&answer)
    }

    fn name(&self, answer: &Value) -> Result<String, StageError> {
        let name = answer.get(self.account.protocol.batches.name).and_then(Value::as_str);
        let nameless = || StageError::environment(format!("{} took a job and gave it no name", self.place()));
        name.map(str::to_owned).ok_or_else(nameless)
    }

    /// Returns the provider's name of the job, if it was submitted after all.
    async fn find(&self, requests: usize) -> Result<Option<String>, StageError> {
        let batches = &self.account.protocol.batches;
        let url = (batches.list)(&self.sample.base_url);
        let list = self.patiently(|| http::ask(self.account, &self.sample, self.account.client.get(&url))).await?;
        Ok((batches.find)(&list, &Job { name: self.job, since: since(self.job), requests: requests as u64 }))
    }

    /// Waits for the job's end. Returns its files and results, or nothing if the provider no longer knows the job.
    async fn ended(&self, name: &str) -> Result<Option<(Vec<String>, Vec<Value>)>, StageError> {
        let batches = &self.account.protocol.batches;
        let url = (batches.address)(&self.sample.base_url, name);
        let mut wait = SHORT_WAIT;
        loop {
            let look = || http::ask(self.account, &self.sample, self.account.client.get(&url));
            // A provider forgets a job after some months.
            let state = match look().await {
                Err(Failed::Never { code, .. }) if code.starts_with("404") => return Ok(None),
                Ok(state) => state,
                Err(_) => self.patiently(look).await?,
            };
            match (batches.state)(&self.sample.base_url, &state) {
                JobState::Ended { files, results } => return Ok(Some((files, results))),
                JobState::Failed(said) => {
                    let message = self.account.masked(&said);
                    return Err(StageError::environment(format!("{}: the job `{name}` failed: {message}", self.place())));
                }
                JobState::Running => {}
            }
            self.sleep(wait).await?;
            wait = (wait * 3 / 2).min(LONG_WAIT);
        }
    }

    fn hand_over(&self, waiting: &mut BTreeMap<String, Waiting>, result: &Value) {
        let Some((name, status, body)) = (self.account.protocol.batches.result)(result) else { return };
        let Some(open) = waiting.remove(&name) else { return };
        let reply = match http::result(self.account, &open.request, status, &body) {
            Ok(got) => Ok(got),
            // The provider took the job, so its key and its model are right.
            Err(Failed::Never { code, perhaps_prompt: Some(said), .. }) => {
                Ok(errors::without_reply(errors::refused(&open.request, &code, said)))
            }
            Err(Failed::Never { code, message, help, .. }) => Err(self.account.failed(&code, message, help)),
            // After the last job, what the provider said nothing to is an answer to this prompt.
            Err(Failed::Again { why: Why::NoAnswer(said), .. }) if open.jobs + 1 >= JOBS => {
                Ok(errors::without_reply(errors::refused(&open.request, "no_answer", said)))
            }
            Err(Failed::NoSchema { message }) => {
                self.account.schemas.lack(self.ctx, &self.account.name, &open.request.model, &message);
                waiting.insert(name, open);
                return;
            }
            Err(Failed::TooFast { .. } | Failed::Again { .. }) => {
                waiting.insert(name, open);
                return;
            }
        };
        // Sending fails if the run was stopped and the caller has given up.
        let _unheard = open.reply.send(reply);
    }

    /// Repeats an idempotent request until it succeeds, fails permanently, or has been tried [`TRIES`] times.
    async fn patiently<T, F>(&self, mut what: impl FnMut() -> F) -> Result<T, StageError>
    where
        F: Future<Output = Result<T, Failed>>,
    {
        let mut tries = 0;
        loop {
            match what().await {
                Ok(value) => return Ok(value),
                Err(failed) => {
                    let pause = self.pause(failed, &mut tries)?;
                    self.sleep(pause).await?;
                }
            }
        }
    }

    fn pause(&self, failed: Failed, tries: &mut u32) -> Result<Duration, StageError> {
        let (after, message) = match failed {
            Failed::Never { code, message, help, .. } => return Err(self.account.failed(&code, message, help)),
            Failed::TooFast { after, message } | Failed::Again { after, message, .. } => (after, message),
            Failed::NoSchema { message } => (None, message),
        };
        *tries += 1;
        if *tries >= TRIES {
            return Err(StageError::transient(format!("{message}; tried {tries} times")));
        }
        self.account.wait(self.ctx, after, jitter(*tries), &message)
    }

    async fn sleep(&self, time: Duration) -> Result<(), StageError> {
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            () = self.ctx.cancellation().cancelled() => Err(StageError::cancelled()),
        }
    }
}
