//! Arguments that several of the commands share. Takes words of the command line; gives paths, and a model on its device.

use std::path::PathBuf;

use clap::Args;
use engine::{CommandError, StageError};

use crate::models::{DeviceName, Model};

/// A file in and a file out.
#[derive(Args)]
pub(super) struct Files {
    /// File to read, in the form that the end of this help describes
    #[arg(long, value_name = "FILE")]
    pub(super) input: PathBuf,
    /// File to write, in the form that the end of this help describes
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
}

/// A model, and where it is computed.
#[derive(Args)]
pub(super) struct ModelArguments {
    /// Folder with `config.json` and weights
    #[arg(long, value_name = "DIR")]
    pub(super) model: PathBuf,
    /// PEFT folder of an adapter to apply
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,
    /// Device of the model
    #[arg(long, value_name = "auto|cpu|cuda|cuda:N", default_value_t)]
    device: DeviceName,
}

impl ModelArguments {
    /// Reads the model onto its device.
    ///
    /// # Errors
    /// The device is missing, the folder is no checkpoint, or the adapter does not fit it.
    pub(super) fn load(&self) -> Result<Model, CommandError> {
        let device = self.device.open().map_err(StageError::from)?;
        let mut model = Model::load(&self.model).map_err(StageError::failed)?;
        if let Some(folder) = &self.adapter {
            model.load_adapter(folder).map_err(StageError::failed)?;
        }
        Ok(model.on(&device))
    }
}
