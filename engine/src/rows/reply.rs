//! The reply to one unit. Takes a unit; gives its reply: from the cache, from the process that is calling for it right now, or by one call
//! that is durable before it counts.

use std::sync::Arc;

use cache::{Claim, Digest};

use crate::contract::{
    context::Context,
    effect::{Bought, Effect, unit_digest},
    error::StageError,
    purchase::{Paid, Purchase},
};

/// Returns the digest of a unit, and the cached reply to it.
pub(crate) fn known<E: Effect>(ctx: &Context, unit: &E::Unit) -> Result<(Digest, Option<E::Reply>), StageError> {
    let digest = unit_digest::<E>(unit)?;
    if ctx.rebuys() {
        return Ok((digest, None));
    }
    let bytes = ctx.store().cache().reply(&digest)?;
    let reply = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Ok((digest, reply.filter(|reply| ctx.reuses_errors() || E::lasts(reply))))
}

/// Returns whether the bytes of a cached reply may be used.
fn usable<E: Effect>(ctx: &Context, bytes: &[u8]) -> bool {
    ctx.reuses_errors() || serde_json::from_slice(bytes).is_ok_and(|reply| E::lasts(&reply))
}

/// Returns the reply to `unit`. For equal units there is one call, in this process and in others beside it.
pub(crate) async fn reply<E: Effect>(ctx: &Context, unit: &E::Unit) -> Result<E::Reply, StageError> {
    let digest = unit_digest::<E>(unit)?;
    let replies = &ctx.shared().flights;
    let flight = replies.flight(digest);
    let mut called = false;
    let bytes = flight.get_or_try_init(|| fetch::<E>(ctx, unit, digest, &mut called)).await?;
    // Where the cache can answer from now on, the flight's copy is not needed.
    if !ctx.rebuys() && ctx.store().cache().mode().reads() && ctx.store().cache().mode().writes() {
        replies.land(&digest);
    }
    ctx.count(called);
    serde_json::from_slice(bytes).map_err(|error| {
        StageError::failed(format!("the cached reply to unit {digest} cannot be read: {error}"))
            .help(format!("buy it again with `--rebuy`, or raise the version of `{}`", E::NAME))
    })
}

async fn fetch<E: Effect>(ctx: &Context, unit: &E::Unit, digest: Digest, called: &mut bool) -> Result<Arc<[u8]>, StageError> {
    let cache = ctx.store().cache();
    if !ctx.rebuys() {
        if let Some(bytes) = cache.reply(&digest)?.filter(|bytes| usable::<E>(ctx, bytes)) {
            return Ok(bytes.into());
        }
        let claim = match cache.claim(vec![digest]).await?.pop() {
            Some(Claim::Theirs(_)) => theirs(ctx, digest).await?,
            claim => claim,
        };
        if let Some(Claim::Known(bytes)) = claim
            && usable::<E>(ctx, &bytes)
        {
            return Ok(bytes.into());
        }
    }
    match bought::<E>(ctx, unit, digest).await {
        Ok(bytes) => {
            *called = true;
            Ok(bytes)
        }
        Err(error) => {
            cache.release(vec![digest]).await?;
            Err(error)
        }
    }
}

/// Waits until the process that has claimed the unit has its reply, or is gone.
async fn theirs(ctx: &Context, digest: Digest) -> Result<Option<Claim>, StageError> {
    tokio::select! {
        claim = ctx.store().cache().wait(digest) => Ok(Some(claim?)),
        () = ctx.cancellation().cancelled() => Err(StageError::cancelled()),
    }
}

async fn bought<E: Effect>(ctx: &Context, unit: &E::Unit, digest: Digest) -> Result<Arc<[u8]>, StageError> {
    ctx.check()?;
    let purchase = Purchase::new(ctx, digest, E::payee(unit), E::price(ctx, unit));
    let Bought { reply, paid, place } = E::call(ctx, unit, &purchase).await?;
    let bytes = serde_json::to_vec(&reply).map_err(StageError::failed)?;
    if E::lasts(&reply) {
        ctx.store().cache().keep(digest, bytes.clone(), paid.map(Paid::into_receipt)).await?;
    } else {
        // Nothing was paid for it, and who asks next may ask again.
        ctx.store().cache().release(vec![digest]).await?;
    }
    drop(place);
    Ok(bytes.into())
}
