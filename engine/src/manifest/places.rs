//! Places of values. Takes a path in a manifest's data; gives the labels of all places that its value comes from.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{
    diagnostic::{Label, Mistake},
    source::{self, Path, Source},
};

/// Where a value comes from that is not written at its own place in the file.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    /// The `--set` that gives it, as written.
    Set(String),
    /// The name of the param whose value it is.
    Param(String),
}

/// The source's places, and the origins of the values that are not written at their own place.
#[derive(Debug)]
pub(super) struct Places {
    source: Arc<Source>,
    origins: BTreeMap<Path, Origin>,
}

impl Places {
    pub(super) fn new(source: Arc<Source>) -> Self {
        Self { source, origins: BTreeMap::new() }
    }

    pub(super) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Records where the value at `path` and all below it come from.
    pub(super) fn note(&mut self, path: &Path, origin: Origin) {
        self.origins.retain(|other, _| other.below(path).is_none());
        self.origins.insert(path.clone(), origin);
    }

    fn origin(&self, path: &Path) -> Option<(Path, &Origin)> {
        std::iter::successors(Some(path.clone()), Path::parent).find_map(|above| {
            let origin = self.origins.get(&above)?;
            Some((above, origin))
        })
    }

    pub(super) fn value_labels(&self, path: &Path) -> Vec<Label> {
        match self.origin(path) {
            None => source::value_labels(&self.source, path),
            Some((_, Origin::Set(set))) => self.set_labels(path, set),
            Some((above, Origin::Param(name))) => {
                let rest = path.below(&above).unwrap_or_default();
                let definition = self.value_labels(&param(name).join(&rest)).into_iter().map(|label| {
                    let text = if label.text.is_empty() { format!("`params.{name}` is defined here") } else { label.text };
                    Label { text, primary: false, ..label }
                });
                let used = source::value_labels(&self.source, &above).into_iter();
                let primary = used.map(|label| Label { primary: true, ..label }).take(1);
                primary.chain(definition).collect()
            }
        }
    }

    fn set_labels(&self, path: &Path, set: &str) -> Vec<Label> {
        let labels = source::value_labels(&self.source, path).into_iter().take(1);
        labels.map(|label| Label { text: format!("`--set {set}` gives this value"), ..label }).collect()
    }

    pub(super) fn key_label(&self, path: &Path) -> Label {
        let label = source::key_label(&self.source, path);
        match self.origin(path) {
            Some((_, Origin::Set(set))) => Label { text: format!("from `--set {set}`"), ..label },
            // The key is written where the param is defined, if it is in the file at all.
            Some((above, Origin::Param(name))) if above != *path => {
                self.key_label(&param(name).join(&path.below(&above).unwrap_or_default()))
            }
            _ => label,
        }
    }

    /// Returns whether the value comes from `--set`, directly or through a param.
    pub(super) fn is_set(&self, path: &Path) -> bool {
        match self.origin(path) {
            None => false,
            Some((_, Origin::Set(_))) => true,
            Some((above, Origin::Param(name))) => self.is_set(&param(name).join(&path.below(&above).unwrap_or_default())),
        }
    }

    pub(super) fn mistake_at_value(&self, path: &Path, code: &'static str, message: impl Into<String>) -> Mistake {
        Mistake { source: Some(self.source.file.clone()), labels: self.value_labels(path), ..Mistake::new(code, message) }
    }

    pub(super) fn mistake_at_key(&self, path: &Path, code: &'static str, message: impl Into<String>) -> Mistake {
        Mistake { source: Some(self.source.file.clone()), labels: vec![self.key_label(path)], ..Mistake::new(code, message) }
    }
}

fn param(name: &str) -> Path {
    Path::of(&["params", name])
}
