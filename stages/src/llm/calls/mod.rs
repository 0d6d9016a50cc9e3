//! Calls to providers. Takes a request; gives a reply with its receipt.
//!
//! A call is sent when the account's pace allows it, and again if it failed for a passing reason. Read this file first, then [`account`] (key,
//! connections, failures), [`pace`] (when the next call may start), [`http`] (one try), [`outcome`] (what a try gives), [`charge`] (whether a
//! try without a reply may have been paid for) and [`retry`] (pauses between tries). [`batch`] puts many requests into one job, in which they wait in [`queue`]; [`mod@download`] downloads published files.

mod account;
mod answered;
mod batch;
mod charge;
mod decode;
mod download;
mod errors;
mod http;
mod outcome;
mod pace;
mod queue;
mod refused;
mod retry;
mod schemas;

use std::{
    any::Any,
    fmt::Display,
    time::{Duration, Instant},
};

use engine::{Bought, Context, Held, Price, Purchase, ROWS_IN_FLIGHT, Receipt, StageError};
use serde_json::{Value, json};

use super::{
    finish,
    providers::protocol::Protocol,
    request::{Reply, Request, estimated_tokens},
};
use crate::{
    rows::Outcome,
    sections::{Prices, providers::Mode},
};
pub(crate) use account::{Accounts, unset_variables};
pub(crate) use download::download;
use outcome::{Failed, Got, Unanswered, Why};
use retry::{FEW_TRIES, TRIES, jitter};

/// The time for which a call is refused as too fast, while no other call of the account gets through, before it fails.
const PATIENCE: Duration = Duration::from_mins(10);

/// Returns the number of rows in flight for calls of these accounts: more if calls are collected to batches first.
pub(crate) fn rows_in_flight<'a>(ctx: &Context, mut accounts: impl Iterator<Item = &'a String>) -> usize {
    if accounts.any(|account| account::mode(ctx, account) == Mode::Batch) { batch::ROWS_IN_FLIGHT } else { ROWS_IN_FLIGHT }
}

/// Returns the highest price of a request: a token for every byte of its prompt, and as many output tokens as its cap allows.
pub(crate) fn worst_price(ctx: &Context, request: &Request) -> Price {
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

/// An upper bound of the tokens that providers put around each message.
const MESSAGE_TOKENS: usize = 16;

/// Describes the HTTP request that is sent, with the names of variables in place of secrets.
pub(crate) fn describe(ctx: &Context, protocol: &'static Protocol, request: &Request) -> Value {
    json!({
        "method": "POST",
        "url": url(protocol, request),
        "headers": account::described_headers(ctx, &request.account, protocol),
        "body": protocol.body_of(request),
    })
}

/// Returns the address of a request, with its query.
fn url(protocol: &'static Protocol, request: &Request) -> String {
    let url = (protocol.url)(&request.base_url, &request.model);
    match reqwest::Url::parse_with_params(&url, &request.query) {
        Ok(whole) if !request.query.is_empty() => whole.into(),
        Ok(_) | Err(_) => url,
    }
}

/// Sends a request, and again after passing failures, until there is a reply. `unit` is the request's name in a batch.
///
/// # Errors
/// The failure is permanent, the request was tried too often, or the run is cancelled.
pub(crate) async fn call(
    ctx: &Context,
    protocol: &'static Protocol,
    request: &Request,
    unit: impl Display,
    purchase: &Purchase<'_>,
) -> Result<Bought<Reply>, StageError> {
    let account = Accounts::of(ctx)?.open(ctx, protocol, request)?;
    if account.mode == Mode::Batch {
        let held = purchase.hold_together().await?;
        let started = Instant::now();
        let got = batch::call(ctx, &account, request, unit.to_string()).await?;
        return bought(ctx, request, got, started.elapsed().as_secs_f64(), held, None);
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
        // Last, since what a call may cost is known best when it is sent.
        let held = purchase.hold().await?;
        account.circuit()?;
        let started = Instant::now();
        let tried = http::try_once(&account, request).await;
        let seconds = started.elapsed().as_secs_f64();
        let Unanswered { failed, may_be_charged } = match tried {
            Ok(got) => {
                permit.answered(got.announced, got.reply.usage.total());
                // A refusal of one prompt says nothing about others.
                if got.reply.error.is_empty() {
                    account.succeeded();
                    account.schemas.took(request);
                    account.answered.note(ctx, request)?;
                }
                if finish::meaning(&got.reply.finish).is_none() && got.reply.outcome == Outcome::Ok {
                    ctx.warn(format!(
                        "`{}/{}` ends replies for the reason `{}`, which is not known here: they are taken for whole",
                        account.name, request.model, got.reply.finish
                    ));
                }
                return bought(ctx, request, got, seconds, held, Some(Box::new(place)));
            }
            Err(unanswered) => unanswered,
        };
        if may_be_charged {
            held.lose(failed.message(), seconds).await?;
        } else {
            drop(held);
        }
        let pause = match failed {
            Failed::TooFast { after, message } => {
                permit.refused(after);
                let since = *refused_since.get_or_insert_with(Instant::now);
                if since.elapsed() > PATIENCE && account.since_success().is_none_or(|ago| ago > PATIENCE) {
                    return Err(StageError::environment(format!(
                        "{message}; no call got through for {} minutes",
                        PATIENCE.as_secs() / 60
                    )));
                }
                account.wait(ctx, after, jitter(tries), &message)?
            }
            Failed::Again { after, message, why } => {
                permit.failed();
                tries += 1;
                let most = match why {
                    Why::Trouble => TRIES,
                    Why::Unreached if account.since_success().is_some() => TRIES,
                    Why::Nonsense | Why::Unreached | Why::NoAnswer(_) => FEW_TRIES,
                };
                if tries >= most {
                    if let Why::NoAnswer(said) = why {
                        let got = errors::without_reply(errors::refused(request, "no_answer", said));
                        return Ok(Bought { reply: got.reply, paid: None, place: Some(Box::new(place)) });
                    }
                    return Err(StageError::transient(format!("{message}; tried {tries} times")));
                }
                account.wait(ctx, after, jitter(tries), &message)?
            }
            Failed::NoSchema { message } => {
                permit.failed();
                account.schemas.lack(ctx, &account.name, &request.model, &message);
                continue;
            }
            Failed::Never { code, message, help, perhaps_prompt } => {
                permit.failed();
                tries += 1;
                match perhaps_prompt {
                    // The same model answers other prompts.
                    Some(said) if account.answered.has(ctx, request)? => {
                        let got = errors::without_reply(errors::refused(request, &code, said));
                        return Ok(Bought { reply: got.reply, paid: None, place: Some(Box::new(place)) });
                    }
                    // No other call has come back yet.
                    Some(_) if tries < FEW_TRIES => jitter(tries),
                    _ => return Err(account.failed(&code, message, help)),
                }
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = ctx.cancellation().cancelled() => return Err(StageError::cancelled()),
        }
    }
}

fn bought(
    ctx: &Context,
    request: &Request,
    got: Got,
    seconds: f64,
    held: Held<'_>,
    place: Option<Box<dyn Any + Send>>,
) -> Result<Bought<Reply>, StageError> {
    let prices = ctx.section::<Prices>();
    let price = prices.get(&request.account, &request.model).map(|price| price.of_mode(account::mode(ctx, &request.account)));
    let receipt = Receipt {
        payee: format!("{}/{}", request.account, request.model),
        cost: price.map(|price| price.nano_dollars(&got.reply.usage)),
        seconds,
        details: json!({ "usage": got.reply.usage, "served": got.reply.served, "request_id": got.id }),
    };
    Ok(Bought { reply: got.reply, paid: Some(held.pay(&receipt)?), place })
}
