//! The effect `completion`, which `answer`, `judge` and `analyse` share, with its cached replies. Takes a request to a model; gives the reply.

use engine::{Bought, Context, Effect, Price, Purchase, StageError, unit_digest};
use serde_json::Value;

use super::{
    calls,
    providers::{self, Replies},
    reading, recording,
    request::{Reply, Request},
};
use crate::rows::{Outcome, Usage};

/// The effect `completion`.
pub(crate) struct Completion;

impl Effect for Completion {
    const NAME: &'static str = "completion";
    const VERSION: u32 = 1;
    type Unit = Request;
    type Reply = Reply;

    fn price(ctx: &Context, request: &Request) -> Price {
        match replies(request) {
            Ok(Replies::Called(_)) => calls::worst_price(ctx, request),
            Ok(Replies::Known(_) | Replies::Generated(_)) => Price::Free,
            Err(_) => Price::Unknown,
        }
    }

    fn payee(request: &Request) -> String {
        format!("{}/{}", request.account, request.model)
    }

    fn describe(ctx: &Context, request: &Request) -> Result<Value, StageError> {
        match replies(request)? {
            Replies::Called(protocol) => Ok(calls::describe(ctx, protocol, request)),
            Replies::Known(_) | Replies::Generated(_) => serde_json::to_value(request).map_err(StageError::failed),
        }
    }

    fn adopted(request: &Request, payee: &str, answer: &Value, again: bool) -> Option<Result<Reply, String>> {
        let asked = Self::payee(request) == payee && request.sample == 0;
        asked.then(|| {
            let mut reply = recording::reply(&request.model, answer)?;
            if again {
                reply.usage = Usage::default();
            }
            Ok(reply)
        })
    }

    fn lasts(reply: &Reply) -> bool {
        reply.outcome != Outcome::Error
    }

    async fn call(ctx: &Context, request: &Request, purchase: &Purchase<'_>) -> Result<Bought<Reply>, StageError> {
        match replies(request)? {
            Replies::Called(protocol) => calls::call(ctx, protocol, request, unit_digest::<Self>(request)?, purchase).await,
            Replies::Generated(generate) => {
                Ok(Bought { reply: reading::read(&generate(ctx, request).await?).into_owned(), paid: None, place: None })
            }
            Replies::Known(_) => Err(StageError::failed(format!("`{}` is not called", request.provider))),
        }
    }
}

fn replies(request: &Request) -> Result<&'static Replies, StageError> {
    let kind = providers::find(request.provider);
    kind.map(|kind| &kind.replies)
        .ok_or_else(|| StageError::failed(format!("there is no provider of kind `{}`", request.provider)))
}
