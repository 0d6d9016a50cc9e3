//! What a stage that works row by row asks for. Takes a unit; gives a reply, which is kept under the unit's digest.
//!
//! The effect sees nothing but its unit, and the unit's digest is the reply's key. So what is not in the unit cannot leak into a
//! reply, and after a change of the pure parts no reply is bought again.

use std::{any::Any, future::Future};

use cache::Digest;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    context::Context,
    error::StageError,
    purchase::{Paid, Purchase},
};
use crate::budget::Price;

/// Something done for a unit whose result is kept: a call to a model.
pub trait Effect: Send + Sync + 'static {
    /// The effect's name; kinds that share an effect share its replies.
    const NAME: &'static str;
    /// Raised when `call` changes its meaning; until then no reply that was paid for is lost.
    const VERSION: u32;
    /// All that `call` can see.
    type Unit: Serialize + Send + Sync;
    /// The reply, which is kept.
    type Reply: Serialize + DeserializeOwned + Clone + Send + Sync;

    /// Returns the highest possible price of the call, before it starts.
    fn price(ctx: &Context, unit: &Self::Unit) -> Price;

    /// Returns who is paid for the call, as receipts name it.
    fn payee(unit: &Self::Unit) -> String;

    /// Returns what a call sends, for people to read: secrets are masked.
    ///
    /// # Errors
    /// The unit cannot be written as JSON.
    fn describe(ctx: &Context, unit: &Self::Unit) -> Result<serde_json::Value, StageError> {
        let _ = ctx;
        serde_json::to_value(unit).map_err(StageError::failed)
    }

    /// Returns the reply to this unit that an answer of `payee` becomes; `None` where the unit asks somebody else.
    /// `again` is whether the row asks once more after this answer, whose cost counts once.
    fn adopted(unit: &Self::Unit, payee: &str, answer: &serde_json::Value, again: bool) -> Option<Result<Self::Reply, String>> {
        let _ = (unit, payee, answer, again);
        None
    }

    /// Returns whether a reply is kept. One that is not, such as a provider's refusal of the prompt, counts for the row that asked for it,
    /// and the next run that needs it asks again.
    fn lasts(reply: &Self::Reply) -> bool {
        let _ = reply;
        true
    }

    /// Makes the call. What costs money is sent with the permission of the purchase, each time that it is sent.
    fn call(
        ctx: &Context,
        unit: &Self::Unit,
        purchase: &Purchase<'_>,
    ) -> impl Future<Output = Result<Bought<Self::Reply>, StageError>> + Send;
}

/// A reply with the receipt for it, which the purchase gives. The receipt is kept beside the reply and reaches no row.
pub struct Bought<R> {
    /// The reply.
    pub reply: R,
    /// What was paid for it; `None` for a reply that costs nothing.
    pub paid: Option<Paid>,
    /// Dropped when the reply is durable: a permit, which limits how many replies are lost if the process is killed.
    pub place: Option<Box<dyn Any + Send>>,
}

/// What a row asks for next.
pub enum Ask<E: Effect> {
    /// A reply that is cached or bought.
    Call(E::Unit),
    /// A reply that needs no call; the cache has no part in it.
    Known(E::Reply),
}

/// Returns the digest of a unit, which is the key of its reply.
///
/// # Errors
/// The unit has a value without a digest, such as NaN.
pub fn unit_digest<E: Effect>(unit: &E::Unit) -> Result<Digest, StageError> {
    Digest::of_value(&(E::NAME, E::VERSION, unit)).map_err(StageError::failed)
}
