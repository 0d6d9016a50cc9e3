//! Manifests. Takes a source; gives a manifest, with `--set` and params applied and the place of every value kept.
//!
//! Read this file, then the steps in the order in which `parse` takes them: `set` (puts values of `--set` in), `shape` (checks the
//! version, reads name and sections), `params` (replaces `${params.NAME}`) and `stages` (reads the stages). Then `places` (which labels
//! a mistake has) and `fields` (turns serde's errors into mistakes).

mod fields;
mod params;
mod places;
mod set;
mod shape;
mod stages;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde_yaml::Value;

use crate::budget::Limit;
use crate::diagnostic::{Label, Mistake};
use crate::source::{Path, Source};
use places::Places;

pub(crate) use set::Set;

/// A manifest as written, before its names are looked up.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub source: Arc<Source>,
    /// `name:`, else the file's stem. The cache keeps the history of the stages under it.
    pub name: String,
    /// The base of relative paths.
    pub folder: PathBuf,
    /// The stages in order of the file.
    pub stages: Vec<Declaration>,
    /// Every other key at the top, such as `providers` or `prices`.
    pub sections: BTreeMap<String, Value>,
    pub warnings: Vec<Mistake>,
    /// What is wrong with the shape of the file. A field that could not be read is `None` in its stage.
    pub mistakes: Vec<Mistake>,
    places: Places,
}

/// One stage as declared. A field is `None` where a mistake keeps it from being read.
#[derive(Debug, Clone)]
pub(crate) struct Declaration {
    pub name: String,
    /// The kind.
    pub uses: Option<String>,
    /// What each input port is wired to: a stage, `stage.port` or a file.
    pub inputs: Option<BTreeMap<String, String>>,
    /// A mapping, empty where `with:` is left out.
    pub with: Option<Value>,
    /// What its calls may cost.
    pub budget: Limit,
}

impl Declaration {
    /// Returns the path of the stage.
    pub(crate) fn path(&self) -> Path {
        Path::of(&["stages", &self.name])
    }

    /// Returns the path of the kind.
    pub(crate) fn uses_path(&self) -> Path {
        self.path().key("uses")
    }

    /// Returns the path of one input.
    pub(crate) fn input_path(&self, port: &str) -> Path {
        self.path().key("in").key(port)
    }

    /// Returns the path of the params.
    pub(crate) fn with_path(&self) -> Path {
        self.path().key("with")
    }
}

/// Reads a manifest. Mistakes of its shape are returned in the manifest, so that the rest of it can be checked too.
///
/// # Errors
/// The file is not a mapping, or has an unknown version: nothing else in it can be checked then.
pub(crate) fn parse(source: Arc<Source>, folder: impl Into<PathBuf>, sets: &[Set]) -> Result<Manifest, Vec<Mistake>> {
    let mut data = source.data().clone();
    let mut places = Places::new(source.clone());
    let mut mistakes = Vec::new();
    if !data.is_mapping() {
        let mistake = places.mistake_at_value(&Path::root(), "wrong-type", "a manifest is a mapping with `version` and `stages`");
        return Err(vec![mistake.help("start with `version: 1`")]);
    }
    set::apply(&mut data, sets, &mut places, &mut mistakes);
    if let Some(unknown) = shape::version(&data, &places, &mut mistakes) {
        return Err(vec![unknown]);
    }
    let warnings = params::apply(&mut data, &mut places, &mut mistakes);
    let name = shape::name(&data, &places, &mut mistakes);
    let stages = stages::read(&data, &places, &mut mistakes);
    let sections = shape::sections(&data);
    // A param that seems unused may be misspelt in the place that uses it.
    let warnings = if mistakes.is_empty() { warnings } else { Vec::new() };
    let folder = folder.into();
    Ok(Manifest { source, name, folder, stages, sections, warnings, mistakes, places })
}

/// Turns the error of reading a separate file into a type, such as a price list, into a mistake at the field.
pub(crate) fn field_mistake(source: &Arc<Source>, error: &serde_path_to_error::Error<serde_yaml::Error>) -> Mistake {
    fields::mistake(&Places::new(source.clone()), &Path::root(), error)
}

impl Manifest {
    /// Returns a mistake at a value. It shows every place that the value comes from.
    pub(crate) fn mistake_at_value(&self, path: &Path, code: &'static str, message: impl Into<String>) -> Mistake {
        self.places.mistake_at_value(path, code, message)
    }

    /// Returns a mistake at a key, or at the nearest place above it.
    pub(crate) fn mistake_at_key(&self, path: &Path, code: &'static str, message: impl Into<String>) -> Mistake {
        self.places.mistake_at_key(path, code, message)
    }

    /// Labels a value: where it is used, and where a param, an alias or `--set` takes it from.
    pub(crate) fn value_labels(&self, path: &Path) -> Vec<Label> {
        self.places.value_labels(path)
    }

    /// Returns the texts at `path` and below that come from `--set`: paths among them are relative to the current folder.
    pub(crate) fn set_texts(&self, path: &Path, value: &Value) -> BTreeSet<String> {
        match value {
            Value::String(text) if self.places.is_set(path) => BTreeSet::from([text.clone()]),
            Value::Mapping(entries) => {
                let below = entries.iter().filter_map(|(key, value)| Some(self.set_texts(&path.key(key.as_str()?), value)));
                below.flatten().collect()
            }
            Value::Sequence(items) => {
                items.iter().enumerate().flat_map(|(index, item)| self.set_texts(&path.index(index), item)).collect()
            }
            _ => BTreeSet::new(),
        }
    }

    /// Turns the error of reading the value at `at` into a type into a mistake at the field that the error is about.
    pub(crate) fn field_mistake(&self, at: &Path, error: &serde_path_to_error::Error<serde_yaml::Error>) -> Mistake {
        fields::mistake(&self.places, at, error)
    }
}

#[cfg(test)]
mod tests;
