//! A trial of one row. Takes a row of a stage; gives what would be asked for it and, where that is wanted, the replies. Replies are read
//! from the cache, and none is written; receipts are.

use serde_json::{Value, json};

use super::reply;
use crate::contract::{
    artifact::Dataset,
    attempt::Attempt,
    context::Context,
    each::EachRow,
    effect::{Ask, Bought, Effect, unit_digest},
    error::StageError,
    purchase::Purchase,
};

/// Asks for the row with this id, round by round, until it is done or, without `send`, a reply is not cached.
pub(crate) async fn each<S: EachRow>(
    ctx: &Context,
    params: &S::Params,
    inputs: S::Inputs,
    id: &str,
    send: bool,
) -> Result<Vec<Attempt>, StageError> {
    let (stage, driving) = S::open(ctx, params, inputs)?;
    let row = find::<S>(&driving, id)?;
    let (mut attempts, mut known) = (Vec::new(), Vec::new());
    loop {
        let asked = stage.units(&row, &known)?;
        if asked.is_empty() {
            return Ok(attempts);
        }
        let before = known.len();
        let count = asked.len();
        for ask in asked {
            let (request, reply, from) = match ask {
                Ask::Known(reply) => (Value::Null, Some(reply), "stage"),
                Ask::Call(unit) => {
                    let request = S::Effect::describe(ctx, &unit)?;
                    match reply::known::<S::Effect>(ctx, &unit)?.1 {
                        Some(reply) => (request, Some(reply), "memo"),
                        None if send => (request, Some(bought::<S::Effect>(ctx, &unit).await?), "call"),
                        None => (request, None, "none"),
                    }
                }
            };
            attempts.push(Attempt { request, reply: json!(reply), from });
            known.extend(reply);
        }
        if known.len() < before + count {
            return Ok(attempts);
        }
    }
}

/// Makes a call. Its reply is not kept, but what it cost is.
async fn bought<E: Effect>(ctx: &Context, unit: &E::Unit) -> Result<E::Reply, StageError> {
    let purchase = Purchase::new(ctx, unit_digest::<E>(unit)?, E::payee(unit), E::price(ctx, unit));
    let Bought { reply, paid, .. } = E::call(ctx, unit, &purchase).await?;
    if let Some(paid) = paid {
        ctx.store().cache().note(&paid.into_receipt()).await?;
    }
    Ok(reply)
}

fn find<S: EachRow>(driving: &Dataset<S::In>, id: &str) -> Result<S::In, StageError> {
    for row in driving.rows()? {
        let row = row?;
        let value = serde_json::to_value(&row).map_err(StageError::failed)?;
        if value.get("id").and_then(Value::as_str) == Some(id) {
            return Ok(row);
        }
    }
    Err(StageError::failed(format!("there is no row with the id `{id}`")).help("`fingerpost show MANIFEST STAGE` lists the rows"))
}
