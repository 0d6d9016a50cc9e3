//! Measures of routers and judges. Takes a router's decisions and what every model answered; gives the figures that say how well it routes.
//!
//! Read [`input`] and `metrics` (what comes in and goes out), then [`table`], which puts all together: `board` (the test rows as arrays),
//! `routed` (a router's decisions on them), [`curve`], [`hull`], [`classification`], [`calibration`] and [`resampling`] (the measures, over plain
//! slices), [`yardsticks`] and [`baselines`] (what a router is compared with), `notes` (cautions). [`agreement`] measures judges. A measure that
//! is undefined on its input (no rows, a strong model no better than the weak one, an unknown price) is `None`, never a NaN or an infinity.

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
