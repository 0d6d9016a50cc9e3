//! Errors of `models` in a stage. Takes errors of checkpoints and devices; gives failures of a stage, or mistakes of a manifest.

use engine::{Lack, ParamMistake, StageError};

use crate::models::{CheckpointError, DeviceError, DeviceName};

/// Returns the device of the field `device` as a lack of this machine, if it is missing.
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
            // A file that is not there was named wrongly. Any other refusal by the system is due to the machine.
            CheckpointError::File { source, .. } if source.kind() != std::io::ErrorKind::NotFound => Self::environment(error),
            _ => Self::failed(error),
        }
    }
}
