//! One purchase: the reply to a unit, for money. Takes what the unit's call costs at most; gives permission to send it, and takes what it
//! did cost.
//!
//! The permission is asked for when a call is sent, and again for each further try, since what is known of prices changes meanwhile.

use cache::Digest;
use serde_json::Value;

use super::{
    context::{Context, KeptReceipt},
    error::StageError,
};
use crate::budget::{Experience, First, Hold, Price, Quote, Receipt};

/// What a call needs in order to pay for the reply to one unit.
pub struct Purchase<'a> {
    ctx: &'a Context,
    unit: Digest,
    payee: String,
    /// The highest possible price, before anything is known of the payee.
    price: Price,
}

/// The permission to send one call. Where it is dropped, the call cost nothing.
pub struct Held<'a> {
    purchase: &'a Purchase<'a>,
    quote: Quote,
    run: Hold<'a>,
    stage: Hold<'a>,
    /// Dropped after what the call taught was learnt.
    _first: Option<First<'a>>,
}

/// The receipt for a reply, as it is kept.
pub struct Paid(Vec<u8>);

impl<'a> Purchase<'a> {
    pub(crate) fn new(ctx: &'a Context, unit: Digest, payee: String, price: Price) -> Self {
        Self { ctx, unit, payee, price }
    }

    /// Returns the price to count with, from what this run and earlier ones paid the payee.
    ///
    /// # Errors
    /// The cache cannot be read.
    pub(crate) fn quote(&self) -> Result<Quote, StageError> {
        if let Price::AtMost(_) = self.price {
            self.experience().remember(|| earlier(self.ctx))?;
            self.warn();
        }
        Ok(self.experience().quote(&self.payee, self.price))
    }

    /// Learns what a call cost that was expected to cost so much at most.
    fn learn(&self, cost: u64, expected: u64) {
        self.experience().learn(&self.payee, cost, expected);
        if cost > expected {
            self.warn();
        }
    }

    /// Says, once, that the payee's calls may cost more than was expected.
    fn warn(&self) {
        self.experience().tell(&self.payee).into_iter().for_each(|message| self.ctx.warn(message));
    }

    fn experience(&self) -> &'a Experience {
        &self.ctx.shared().experience
    }

    /// Waits until the highest possible price of one call fits into the budgets, beside those of the calls that are running.
    ///
    /// # Errors
    /// The price does not fit, whatever the running calls cost; or the stage is to stop.
    pub async fn hold(&'a self) -> Result<Held<'a>, StageError> {
        self.stoppable(false).await
    }

    /// As [`Purchase::hold`], for a call that is sent together with many others, so that none can teach what the others cost.
    ///
    /// # Errors
    /// As [`Purchase::hold`].
    pub async fn hold_together(&'a self) -> Result<Held<'a>, StageError> {
        self.stoppable(true).await
    }

    async fn stoppable(&'a self, together: bool) -> Result<Held<'a>, StageError> {
        tokio::select! {
            held = self.reserve(together) => held,
            () = self.ctx.cancellation().cancelled() => Err(StageError::cancelled()),
        }
    }

    /// Reserves the price in the run's budget and then in the stage's, always in this order.
    async fn reserve(&'a self, together: bool) -> Result<Held<'a>, StageError> {
        let (run, stage) = (&self.ctx.shared().budget, self.ctx.budget());
        let limited = stage.is_limited() || run.is_limited();
        let quote = || if limited { self.quote() } else { Ok(Quote::sure(self.price)) };
        loop {
            let price = quote()?.price;
            let teaches = limited && !together && matches!(price, Price::AtMost(_));
            let first = if teaches { self.experience().first(&self.payee).await } else { None };
            let quoted = if together { Quote::sure(price) } else { quote()? };
            let run = run.hold(quoted, stage.is_limited()).await?;
            let stage = stage.hold(quoted, true).await?;
            // While it waited, another call may have shown that this one costs more.
            if quote()?.price == quoted.price {
                return Ok(Held { purchase: self, quote: quoted, run, stage, _first: first });
            }
        }
    }
}

impl Held<'_> {
    /// Pays for a reply.
    ///
    /// # Errors
    /// The receipt cannot be written as JSON.
    pub fn pay(self, receipt: &Receipt) -> Result<Paid, StageError> {
        let Self { purchase, run, stage, .. } = self;
        let ctx = purchase.ctx;
        let expected = at_most(purchase.price);
        // The next call may be sent as soon as this one is paid for, so what it teaches comes first.
        if let (Some(cost), Some(expected)) = (receipt.cost, expected) {
            purchase.learn(cost, expected);
        }
        run.pay(receipt.cost.unwrap_or(0));
        stage.pay(receipt.cost.unwrap_or(0));
        if receipt.cost.is_none() {
            ctx.count_unpriced();
        }
        ctx.receipt(receipt, purchase.unit, expected, None).map(Paid)
    }

    /// Notes that the call may have been paid for, although there is no reply to it, and why there is none. Free calls are not noted.
    ///
    /// # Errors
    /// The cache cannot be written.
    pub async fn lose(self, why: &str, seconds: f64) -> Result<(), StageError> {
        let Self { purchase: Purchase { ctx, unit, payee, .. }, quote, run, stage, _first } = self;
        if quote.price == Price::Free {
            return Ok(());
        }
        let most = at_most(quote.price);
        run.lose(most.unwrap_or(0));
        stage.lose(most.unwrap_or(0));
        ctx.count_lost(most);
        let receipt = Receipt { payee: payee.clone(), cost: None, seconds, details: Value::Null };
        Ok(ctx.store().cache().note(&ctx.receipt(&receipt, *unit, most, Some(why))?).await?)
    }
}

impl Paid {
    pub(crate) fn into_receipt(self) -> Vec<u8> {
        self.0
    }
}

/// Returns what earlier runs paid: payee, cost and expected price, from the oldest to the newest.
fn earlier(ctx: &Context) -> Result<Vec<(String, u64, u64)>, StageError> {
    let receipts = ctx.store().cache().receipts()?;
    let read = |kept: &cache::Kept| {
        let kept: KeptReceipt<'_> = serde_json::from_slice(&kept.receipt).ok()?;
        Some((kept.receipt.payee.clone(), kept.receipt.cost?, kept.at_most?))
    };
    Ok(receipts.iter().filter_map(read).collect())
}

fn at_most(price: Price) -> Option<u64> {
    match price {
        Price::Free => Some(0),
        Price::AtMost(cost) => Some(cost),
        Price::Unknown => None,
    }
}
