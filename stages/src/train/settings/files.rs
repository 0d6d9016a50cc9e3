//! Files that a `stage.json` names. In a manifest they come through ports.

use std::path::{Path, PathBuf};

use crate::part::settings;

settings! {
    /// Files of a training, relative to the `stage.json` that names them.
    pub struct Files {
        /// Folder of the model to start from.
        base_model: PathBuf = PathBuf::new(),
        /// Rows to train on, JSON lines.
        train_data: PathBuf = PathBuf::new(),
        /// Range of these rows: the first, and the one after the last [default: all].
        train_rows: Option<[usize; 2]> = None,
        /// Rows to evaluate on.
        eval_data: Option<PathBuf> = None,
        /// Range of these rows, as for `train_rows`.
        eval_rows: Option<[usize; 2]> = None,
        /// File of a chat template that replaces the checkpoint's.
        chat_template: Option<PathBuf> = None,
        /// Rows as another program prepared them, for comparison.
        prepared: Option<PathBuf> = None,
        /// A row of token ids whose logits are written after the training.
        probe_input_ids: Vec<u32> = Vec::new(),
        /// Free text, not read.
        note: Option<String> = None,
    }
}

impl Files {
    /// Makes all paths relative to a folder.
    pub(super) fn below(&mut self, folder: &Path) {
        for file in [&mut self.base_model, &mut self.train_data] {
            *file = folder.join(&*file);
        }
        for file in [&mut self.eval_data, &mut self.chat_template, &mut self.prepared].into_iter().flatten() {
            *file = folder.join(&*file);
        }
    }
}
