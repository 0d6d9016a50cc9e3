//! Errors of `models` in a stage. Takes errors of checkpoints and devices; gives failures of a stage, or mistakes of a manifest.

use engine::{ParamMistake, StageError};

use crate::models::{CheckpointError, DeviceError, DeviceName};

/// Returns the mistake that a field names a device which this machine lacks; nothing if the device is there.
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
            // A file that is not there was named wrongly. Any other refusal by the system is due to the machine.
            CheckpointError::File { source, .. } if source.kind() != std::io::ErrorKind::NotFound => Self::environment(error),
            _ => Self::failed(error),
        }
    }
}
