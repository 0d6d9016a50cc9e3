//! Errors of `models` → failures of a stage, and devices that a manifest names and this machine lacks → mistakes before anything runs.

use engine::{Lack, ParamMistake, StageError};

use crate::models::{CheckpointError, DeviceError, DeviceName};

/// Lists the device of the field `device`, if it is not there.
pub(crate) fn absent(device: DeviceName) -> Vec<Lack> {
    let lack = |error: DeviceError| Lack::Device(ParamMistake::new(&["device"], error.to_string(), error.help()));
    device.look().err().map(lack).into_iter().collect()
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
