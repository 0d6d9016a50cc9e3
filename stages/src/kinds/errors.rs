//! Errors of `models` → failures of a stage, and devices that a manifest names and this machine lacks → mistakes before anything runs.

use engine::{ParamMistake, StageError};

use crate::models::{CheckpointError, DeviceError, DeviceName};

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

impl From<CheckpointError> for StageError {
    fn from(error: CheckpointError) -> Self {
        match &error {
            // A file that is not there was named wrongly; all else that the system refuses is the machine's.
            CheckpointError::File { source, .. } if source.kind() != std::io::ErrorKind::NotFound => Self::environment(error),
            _ => Self::failed(error),
        }
    }
}
