//! Files of a training: what `stage.json` names and what comes in by ports in a manifest.

use std::path::{Path, PathBuf};

use super::part::settings;

settings! {
    /// Files that a `stage.json` names, relative to it, and what else it says of them.
    pub struct Files {
        /// Folder of the model to start from.
        base_model: PathBuf = PathBuf::new(),
        /// Rows to train on, JSON lines.
        train_data: PathBuf = PathBuf::new(),
        /// The first of them that is taken, and the first that is not [default: all].
        train_rows: Option<[usize; 2]> = None,
        /// Rows to evaluate on.
        eval_data: Option<PathBuf> = None,
        /// Which of them are taken, as for `train_rows`.
        eval_rows: Option<[usize; 2]> = None,
        /// A chat template's file, in the place of the checkpoint's own.
        chat_template: Option<PathBuf> = None,
        /// Rows as another program has prepared them, for comparison.
        prepared: Option<PathBuf> = None,
        /// One row of ids whose logits are written after the training.
        probe_input_ids: Vec<u32> = Vec::new(),
        /// Words for people.
        note: Option<String> = None,
    }
}

impl Files {
    /// Takes all paths as relative to a folder.
    pub(super) fn below(&mut self, folder: &Path) {
        for file in [&mut self.base_model, &mut self.train_data] {
            *file = folder.join(&*file);
        }
        for file in [&mut self.eval_data, &mut self.chat_template, &mut self.prepared].into_iter().flatten() {
            *file = folder.join(&*file);
        }
    }
}
