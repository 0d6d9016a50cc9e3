//! A request → a reply with its receipt: sent when the account's pace lets it, and again where a failure says nothing about it.
//!
//! [`account`] is who is asked with which key, [`pace`] how fast, [`http`] one try, [`batch`] many requests in one job, [`mod@download`] a
//! published file.

mod account;
mod batch;
mod download;
mod http;
mod pace;

use std::{
    any::Any,
    time::{Duration, Instant},
};

use engine::{Bought, Context, Price, ROWS_IN_FLIGHT, Receipt, StageError};
use rand::Rng as _;
use serde_json::{Value, json};

use super::{
    completion::{Reply, Request},
    providers::{estimated_tokens, local},
};
use crate::sections::{Prices, providers::Mode};
use account::Account;
pub(crate) use account::{Accounts, missing_variables};
pub(crate) use download::download;
use http::{Failed, Got, Why};

/// Tries of one call whose failures say that the server is in trouble; refusals for being too fast do not count.
const TRIES: u32 = 8;

/// Tries of a call where the server was never reached, or answers with what is no reply: it is likely to be another address.
const FEW_TRIES: u32 = 3;

/// How long a call goes on being refused for being too fast while no other call of the account gets through.
const PATIENCE: Duration = Duration::from_mins(10);

/// The first pause between two tries is up to this, each later one up to twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// How many rows have to be under way for calls of these accounts: more where they are collected first.
pub(crate) fn rows_in_flight<'a>(ctx: &Context, mut accounts: impl Iterator<Item = &'a String>) -> usize {
    if accounts.any(|account| account::mode(ctx, account) == Mode::Batch) { batch::ROWS_IN_FLIGHT } else { ROWS_IN_FLIGHT }
}

/// What a request may cost at worst: a token for every byte of its prompt, and all the tokens that its cap allows.
pub(crate) fn worst_price(ctx: &Context, request: &Request) -> Price {
    if request.provider == local::NAME {
        return Price::Free;
    }
    let prices = ctx.section::<Prices>();
    let Some(price) = prices.get(&request.account, &request.model) else { return Price::Unknown };
    let schema = request.settings.schema.as_ref().map_or(0, |schema| schema.to_string().len());
    let bytes: usize = request.prompt.iter().map(|message| message.content.len() + MESSAGE_TOKENS).sum();
    let price = price.of_mode(account::mode(ctx, &request.account));
    match price.worst((bytes + schema) as u64, u64::from(request.settings.max_output_tokens.unwrap_or(0))) {
        0 => Price::Free,
        nano => Price::AtMost(nano),
    }
}

/// Tokens that providers put around each message, generously.
const MESSAGE_TOKENS: usize = 16;

/// What is sent, with the variables' names in place of what they hold.
pub(crate) fn describe(ctx: &Context, request: &Request) -> Result<Value, StageError> {
    if request.provider == local::NAME {
        return serde_json::to_value(request).map_err(StageError::failed);
    }
    let protocol = crate::llm::providers::protocol(request.provider)
        .ok_or_else(|| StageError::failed(format!("`{}` makes no calls", request.provider)))?;
    let headers = account::described_headers(ctx, &request.account, protocol);
    Ok(json!({
        "method": "POST",
        "url": (protocol.url)(&request.base_url, &request.model),
        "headers": headers,
        "body": (protocol.body)(request),
    }))
}

/// Asks until there is a reply, or a failure that asking again would not mend.
pub(crate) async fn call(ctx: &Context, request: &Request) -> Result<Bought<Reply>, StageError> {
    if request.provider == local::NAME {
        return local::call(ctx, request).await;
    }
    let account = Accounts::of(ctx)?.open(ctx, request)?;
    if account.mode == Mode::Batch {
        let started = Instant::now();
        let got = batch::call(ctx, &account, request).await?;
        return Ok(bought(ctx, request, got, started.elapsed().as_secs_f64(), None));
    }
    let place = tokio::select! {
        place = account.place() => place,
        () = ctx.cancellation().cancelled() => return Err(StageError::cancelled()),
    };
    let tokens = estimated_tokens(&request.prompt) + u64::from(request.settings.max_output_tokens.unwrap_or(0)) / 4;
    let mut tries = 0;
    let mut refused_since = None;
    loop {
        account.circuit()?;
        let permit = tokio::select! {
            permit = account.pace.permit(tokens) => permit,
            () = ctx.cancellation().cancelled() => return Err(StageError::cancelled()),
        };
        account.circuit()?;
        let started = Instant::now();
        let tried = http::try_once(&account, request).await;
        let seconds = started.elapsed().as_secs_f64();
        let pause = match tried {
            Ok(got) => {
                permit.answered(got.announced, got.reply.usage.input + got.reply.usage.output + got.reply.usage.thinking);
                account.succeeded();
                return Ok(bought(ctx, request, got, seconds, Some(Box::new(place))));
            }
            Err(Failed::TooFast { after, message }) => {
                permit.refused(after);
                let since = *refused_since.get_or_insert_with(Instant::now);
                if since.elapsed() > PATIENCE && account.since_success().is_none_or(|ago| ago > PATIENCE) {
                    return Err(StageError::environment(format!(
                        "{message}; no call got through for {} minutes",
                        PATIENCE.as_secs() / 60
                    )));
                }
                after.unwrap_or_default() + jitter(tries)
            }
            Err(Failed::Again { after, message, why }) => {
                permit.failed();
                tries += 1;
                let most = match why {
                    Why::Trouble => TRIES,
                    Why::Unreached if account.since_success().is_some() => TRIES,
                    Why::Nonsense | Why::Unreached => FEW_TRIES,
                };
                if tries >= most {
                    return Err(StageError::transient(format!("{message}; tried {tries} times")));
                }
                after.unwrap_or_default() + jitter(tries)
            }
            Err(Failed::Never { code, message }) => {
                permit.failed();
                return Err(account.failed(&code, message));
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = ctx.cancellation().cancelled() => return Err(StageError::cancelled()),
        }
    }
}

/// Full jitter (Brooker 2015, "Exponential Backoff and Jitter"): anything up to a bound that doubles.
fn jitter(tries: u32) -> Duration {
    let bound = FIRST_PAUSE.saturating_mul(1 << tries.min(10)).min(LONGEST_PAUSE);
    bound.mul_f64(rand::rng().random())
}

fn bought(ctx: &Context, request: &Request, got: Got, seconds: f64, place: Option<Box<dyn Any + Send>>) -> Bought<Reply> {
    let prices = ctx.section::<Prices>();
    let price = prices.get(&request.account, &request.model).map(|price| price.of_mode(account::mode(ctx, &request.account)));
    let receipt = Receipt {
        payee: format!("{}/{}", request.account, request.model),
        cost: price.map(|price| price.nano_dollars(&got.reply.usage)),
        seconds,
        details: json!({ "usage": got.reply.usage, "served": got.reply.served, "request_id": got.id }),
    };
    Bought { reply: got.reply, receipt: Some(receipt), place }
}

impl Account {
    /// Counts a failure that asking again would not mend, and after several equal ones lets nobody ask any more.
    fn failed(&self, code: &str, message: String) -> StageError {
        self.trip(code, &message);
        StageError::environment(message)
    }
}
