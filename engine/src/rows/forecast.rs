//! Forecasts row by row. Takes a stage that is to run, and its inputs; gives what it would buy, without buying it.

use std::collections::BTreeSet;

use super::reply;
use crate::contract::{
    context::Context,
    each::EachRow,
    effect::{Ask, Effect as _},
    error::StageError,
    forecast::Forecast,
    purchase::Purchase,
};

/// Goes through the rows as a run would, and stops each where a reply is missing.
pub(crate) fn each<S: EachRow>(ctx: &Context, params: &S::Params, inputs: S::Inputs) -> Result<Forecast, StageError> {
    let (stage, driving) = S::open(ctx, params, inputs)?;
    let mut forecast = Forecast { notes: stage.notes()?, ..Forecast::default() };
    let mut counted = BTreeSet::new();
    for row in driving.rows()? {
        let row = row?;
        let mut replies = Vec::new();
        'rounds: loop {
            let asked = stage.units(&row, &replies)?;
            if asked.is_empty() {
                break;
            }
            let mut whole = true;
            for ask in asked {
                match ask {
                    Ask::Known(reply) => replies.push(reply),
                    Ask::Call(unit) => match reply::known::<S::Effect>(ctx, &unit)? {
                        (_, Some(reply)) => {
                            forecast.known += 1;
                            replies.push(reply);
                        }
                        (digest, None) => {
                            if counted.insert(digest) {
                                let payee = S::Effect::payee(&unit);
                                let purchase = Purchase::new(ctx, digest, payee, S::Effect::price(ctx, &unit));
                                forecast.add(purchase.quote()?.price);
                            }
                            whole = false;
                        }
                    },
                }
            }
            if !whole {
                break 'rounds;
            }
        }
    }
    Ok(forecast)
}
