//! How a row-wise stage is gone through.
//!
//! Takes an `EachRow` and its inputs; gives its rows, or what is known of them without a call. `reply` has one unit's reply.

pub(crate) mod attempt;
pub(crate) mod each;
pub(crate) mod forecast;
pub(crate) mod import;
pub(crate) mod reply;
