//! Commands beside those of the engine. Takes arguments; gives files and text.
//!
//! `files` reads and writes the files that commands name. `debug` runs parts of the program on their own, `model` works on a model's folder,
//! `recording` converts logs of other programs, and `tensorboard` converts a run's figures. A command is added by one file or folder and one word in the list below.

mod debug;
mod files;
mod model;
mod recording;
mod tensorboard;

use engine::Registry;

/// Adds all commands to a registry.
pub(crate) fn register(registry: Registry) -> Registry {
    registry
        .command::<debug::Debug>()
        .command::<model::Model>()
        .command::<recording::RecordingCommand>()
        .command::<tensorboard::TensorBoard>()
}
