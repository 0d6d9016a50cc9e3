//! Takes what routers decided and what every model would have answered; gives the figures that tell how well they route.
//!
//! Each file defines its measures once, over plain slices; [`table`] puts them together. A measure that is undefined on its input
//! (no rows, a strong model no better than the weak one, an unknown price) is `None`, never a NaN, an infinity or a zero.

pub mod agreement;
pub mod baselines;
mod board;
pub mod calibration;
pub mod classification;
pub mod curve;
pub mod hull;
pub mod input;
mod metrics;
mod notes;
pub mod resampling;
mod routed;
pub mod table;
#[cfg(test)]
mod tests;
pub mod yardsticks;

pub use input::{Case, Decision, EvaluationError, Policy};
pub use metrics::{Calibration, Metrics};
pub use table::evaluate;
