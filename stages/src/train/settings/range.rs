//! Checks of ranges. Takes the name and the number of a setting; gives an error if the number is out of its range.

use crate::train::TrainError;

fn refuse(name: &'static str, reason: String) -> Result<(), TrainError> {
    Err(TrainError::Setting { name, reason })
}

/// Returns an error unless a number is above 0.
pub(crate) fn positive(name: &'static str, value: f64) -> Result<(), TrainError> {
    if value.is_finite() && value > 0.0 { Ok(()) } else { refuse(name, format!("is {value} and must be above 0")) }
}

/// Returns an error if a number is below 0.
pub(crate) fn not_negative(name: &'static str, value: f64) -> Result<(), TrainError> {
    if value.is_finite() && value >= 0.0 { Ok(()) } else { refuse(name, format!("is {value} and must be 0 or above")) }
}

/// Returns an error if a decay of an average is not from 0 to below 1.
pub(crate) fn decays(name: &'static str, values: &[f64]) -> Result<(), TrainError> {
    match values.iter().find(|value| !(0.0..1.0).contains(*value)) {
        Some(value) => refuse(name, format!("has {value}, and must be from 0 to below 1")),
        None => Ok(()),
    }
}
