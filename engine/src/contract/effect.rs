//! What a row-wise stage asks for: a unit → a reply, kept under the unit's digest.
//!
//! The effect sees nothing but its unit, and the unit's digest is the reply's key: what is not in the unit cannot leak into
//! a reply, and a change of the pure parts buys no reply again.

use std::{any::Any, future::Future};

use cache::Digest;
use serde::{Serialize, de::DeserializeOwned};

use super::{context::Context, error::StageError};
use crate::budget::{Price, Receipt};

/// Something done for a unit whose result is kept: a call to a model.
pub trait Effect: Send + Sync + 'static {
    /// The effect's name; kinds that share an effect share its replies.
    const NAME: &'static str;
    /// Raised when `call` changes its meaning; until then nothing paid for is lost.
    const VERSION: u32;
    /// All that `call` can see.
    type Unit: Serialize + Send + Sync;
    /// What is kept.
    type Reply: Serialize + DeserializeOwned + Clone + Send + Sync;

    /// The worst case of the call, known before it starts.
    fn price(ctx: &Context, unit: &Self::Unit) -> Price;

    /// What a call sends, for people: secrets masked.
    ///
    /// # Errors
    /// The unit cannot be written as JSON.
    fn describe(ctx: &Context, unit: &Self::Unit) -> Result<serde_json::Value, StageError> {
        let _ = ctx;
        serde_json::to_value(unit).map_err(StageError::failed)
    }

    /// The reply that an answer of `payee` is to this unit, where it is that payee who is asked.
    fn adopted(unit: &Self::Unit, payee: &str, answer: &serde_json::Value) -> Option<Result<Self::Reply, String>> {
        let _ = (unit, payee, answer);
        None
    }

    /// Makes the call.
    fn call(ctx: &Context, unit: &Self::Unit) -> impl Future<Output = Result<Bought<Self::Reply>, StageError>> + Send;
}

/// A reply with the receipt for it. The receipt is kept beside the reply and reaches no row.
pub struct Bought<R> {
    /// The reply.
    pub reply: R,
    /// What was paid for it.
    pub receipt: Option<Receipt>,
    /// Dropped when the reply is durable: a place among those whose reply a kill would lose.
    pub place: Option<Box<dyn Any + Send>>,
}

/// What a row asks for next.
pub enum Ask<E: Effect> {
    /// A reply, kept or bought.
    Call(E::Unit),
    /// A reply that is known without a call; the memo has no part in it.
    Known(E::Reply),
}

/// The digest of a unit: the name of its reply.
///
/// # Errors
/// The unit has a value without a digest, such as NaN.
pub fn unit_digest<E: Effect>(unit: &E::Unit) -> Result<Digest, StageError> {
    Digest::of_value(&(E::NAME, E::VERSION, unit)).map_err(StageError::failed)
}
