//! A stage that is to run, with its inputs known → what it would buy, without buying it.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{
    context::Context,
    each::{Ask, EachRow, Effect as _},
    error::StageError,
};
use crate::{
    budget::{Price, dollars},
    rows::reply,
};

/// What a stage would buy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// Replies that are known.
    pub known: u64,
    /// Calls that would be made at once; what is asked next hangs on their replies.
    pub calls: u64,
    /// What they may cost at worst, in nano-dollars.
    pub worst_nano_dollars: u64,
    /// Calls among them whose price is not known.
    pub unpriced: u64,
    /// What else a person should know before: sentences of the stage.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Forecast {
    fn add(&mut self, price: Price) {
        self.calls += 1;
        match price {
            Price::Free => {}
            Price::AtMost(cost) => self.worst_nano_dollars += cost,
            Price::Unknown => self.unpriced += 1,
        }
    }
}

/// Nothing where nothing would be bought.
impl std::fmt::Display for Forecast {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.calls == 0 && self.known == 0 {
            return Ok(());
        }
        write!(out, "{} calls, {} known", self.calls, self.known)?;
        if self.worst_nano_dollars > 0 {
            write!(out, ", at most {}", dollars(self.worst_nano_dollars))?;
        }
        if self.unpriced > 0 {
            write!(out, ", {} of unknown price", self.unpriced)?;
        }
        Ok(())
    }
}

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
                                forecast.add(S::Effect::price(ctx, &unit));
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
