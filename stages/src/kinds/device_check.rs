//! Devices that a manifest names and this machine or program has not → mistakes before anything runs, failures where it runs already.

use engine::{ParamMistake, StageError};

use crate::models::{DeviceError, DeviceName};

/// Says at a field that a device is not there, if it is not.
pub(crate) fn missing(field: &[&str], device: DeviceName) -> Option<ParamMistake> {
    let error = device.look().err()?;
    let field = field.iter().map(|&name| name.to_owned()).collect();
    Some(ParamMistake { field, message: error.to_string(), help: error.help() })
}

impl From<DeviceError> for StageError {
    fn from(error: DeviceError) -> Self {
        Self::failed(&error).help(error.help())
    }
}
