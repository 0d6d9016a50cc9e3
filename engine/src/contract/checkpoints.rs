//! Checkpoints of a running stage. Takes how far the stage got; gives it to the next run of the same key, so that a training that was
//! killed loses little.

use std::path::Path;

use cache::Partial;

use super::{
    artifact::{Artifact as _, Checkpoint, copy_tree},
    context::{Context, Resume},
    error::StageError,
};

impl Context {
    /// Stores the files of a folder as the stage's checkpoint after `step`, in the place of the one before.
    ///
    /// # Errors
    /// The folder cannot be read, or the cache cannot be written.
    pub fn checkpoint(&self, step: u64, folder: &Path) -> Result<(), StageError> {
        let Some(Resume { key, .. }) = self.resume() else { return Ok(()) };
        let output = Checkpoint::keep(self, folder)?.seal();
        Ok(self.store().cache().keep_partial(&key, &Partial { step, output })?)
    }

    /// Writes the latest checkpoint of a run of the same key into an existing folder, and returns its step; `None` where there is none.
    ///
    /// # Errors
    /// The checkpoint is damaged, or the folder cannot be written.
    pub fn latest_checkpoint(&self, folder: &Path) -> Result<Option<u64>, StageError> {
        let Some(Resume { key, anew: false }) = self.resume() else { return Ok(None) };
        let Some(Partial { step, output }) = self.store().cache().partial(&key)? else { return Ok(None) };
        copy_tree(self.store(), &output.digest, folder)?;
        Ok(Some(step))
    }
}
