//! A source comes in; a manifest goes out, with `--set` and params applied and the place of every value kept.

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
    /// `name:`, else the file's stem; history is kept under it.
    pub name: String,
    /// The base of relative paths.
    pub folder: PathBuf,
    /// The stages in order of the file.
    pub stages: Vec<Declaration>,
    /// Every other key at the top, such as `providers` or `prices`.
    pub sections: BTreeMap<String, Value>,
    pub warnings: Vec<Mistake>,
    /// What is wrong with the shape of the file; what it leaves open is `None` in the stages.
    pub mistakes: Vec<Mistake>,
    places: Places,
}

/// One stage as declared. A field is `None` where a mistake was found that leaves it open.
#[derive(Debug, Clone)]
pub(crate) struct Declaration {
    pub name: String,
    /// The kind.
    pub uses: Option<String>,
    /// Input port to what is to flow in: a stage, `stage.port` or a file.
    pub inputs: Option<BTreeMap<String, String>>,
    /// A mapping, empty where `with:` is left out.
    pub with: Option<Value>,
    /// What its calls may cost.
    pub budget: Limit,
}

impl Declaration {
    /// The stage's place in the manifest.
    pub(crate) fn path(&self) -> Path {
        Path::of(&["stages", &self.name])
    }

    /// The place of the kind.
    pub(crate) fn uses_path(&self) -> Path {
        self.path().key("uses")
    }

    /// The place of one input.
    pub(crate) fn input_path(&self, port: &str) -> Path {
        self.path().key("in").key(port)
    }

    /// The place of the params.
    pub(crate) fn with_path(&self) -> Path {
        self.path().key("with")
    }
}

/// Reads a manifest. Mistakes of its shape come with the manifest, so that the rest of it can be checked too.
///
/// # Errors
/// The file is not a mapping, or has an unknown version: nothing else in it can be judged.
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
    // A param that seems unused may be the one that is misspelt elsewhere.
    let warnings = if mistakes.is_empty() { warnings } else { Vec::new() };
    let folder = folder.into();
    Ok(Manifest { source, name, folder, stages, sections, warnings, mistakes, places })
}

/// Turns the error of reading a whole file of its own into a type, such as a price list, into a mistake at the field.
pub(crate) fn field_mistake(source: &Arc<Source>, error: &serde_path_to_error::Error<serde_yaml::Error>) -> Mistake {
    fields::mistake(&Places::new(source.clone()), &Path::root(), error)
}

impl Manifest {
    /// Names a mistake at a value; it shows every place that had a part in it.
    pub(crate) fn mistake_at_value(&self, path: &Path, code: &'static str, message: impl Into<String>) -> Mistake {
        self.places.mistake_at_value(path, code, message)
    }

    /// Names a mistake at a key, or at the nearest place above it.
    pub(crate) fn mistake_at_key(&self, path: &Path, code: &'static str, message: impl Into<String>) -> Mistake {
        self.places.mistake_at_key(path, code, message)
    }

    /// Labels a value: where it is used, and where a param, an alias or `--set` takes it from.
    pub(crate) fn value_labels(&self, path: &Path) -> Vec<Label> {
        self.places.value_labels(path)
    }

    /// The texts at `path` and below that `--set` gives: paths among them are relative to the current folder.
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

    /// Turns the error of reading the value at `at` into a type into a mistake at the field it speaks of.
    pub(crate) fn field_mistake(&self, at: &Path, error: &serde_path_to_error::Error<serde_yaml::Error>) -> Mistake {
        fields::mistake(&self.places, at, error)
    }
}

#[cfg(test)]
mod tests;
