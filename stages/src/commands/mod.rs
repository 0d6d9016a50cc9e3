//! Commands beside those of the engine. Takes arguments; gives files and text. A command is one file and one word in the list below.

mod debug;
mod files;
mod model;
mod tensorboard;

use engine::Registry;

/// Adds all commands.
pub(crate) fn register(registry: Registry) -> Registry {
    registry.command::<debug::Debug>().command::<model::Model>().command::<tensorboard::TensorBoard>()
}
