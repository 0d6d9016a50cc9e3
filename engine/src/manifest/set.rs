//! Values of `--set`. Takes a manifest's data and the `--set` of a command line; gives the data with their values in place.

use std::fmt;
use std::str::FromStr;

use serde_yaml::{Mapping, Value};

use super::places::{Origin, Places};
use crate::diagnostic::{Mistake, did_you_mean, listed};
use crate::source::{Path, Segment, Source};

/// One `--set PATH=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Set {
    pub path: String,
    /// YAML: `3`, `text`, `[a, b]`.
    pub value: String,
}

/// A `--set` without its `=`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` has no `=`: write `PATH=VALUE`")]
pub(crate) struct NoSet(String);

impl FromStr for Set {
    type Err = NoSet;

    fn from_str(text: &str) -> Result<Self, NoSet> {
        let (path, value) = text.split_once('=').ok_or_else(|| NoSet(text.to_owned()))?;
        Ok(Self { path: path.trim().to_owned(), value: value.to_owned() })
    }
}

impl fmt::Display for Set {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}={}", self.path, self.value)
    }
}

/// Puts each value at its path. The last of several values for one path wins.
pub(super) fn apply(data: &mut Value, sets: &[Set], places: &mut Places, mistakes: &mut Vec<Mistake>) {
    for set in sets {
        let path = match set.path.parse::<Path>() {
            Ok(path) => path,
            Err(error) => {
                mistakes.push(unplaced(set, places, &error.to_string()));
                continue;
            }
        };
        match value(set) {
            Err(wrong) => mistakes.extend(wrong),
            Ok(value) => match place(data, &path) {
                Ok(slot) => {
                    *slot = value;
                    places.note(&path, Origin::Set(set.to_string()));
                }
                Err(refusal) => mistakes.push(refused(set, &path, &refusal, places)),
            },
        }
    }
}

/// Reads the value as YAML; an empty text is null.
fn value(set: &Set) -> Result<Value, Vec<Mistake>> {
    if set.value.trim().is_empty() {
        return Ok(Value::Null);
    }
    Source::parse(&format!("--set {}", set.path), &set.value).map(|source| source.data().clone())
}

/// Why a path cannot be set: how many of its steps exist, and what could follow.
struct Refusal {
    exists: usize,
    names: Vec<String>,
    message: String,
}

/// Finds the place to write at. It must exist, except below a stage's `with`, where a manifest may leave out what has a default.
fn place<'a>(data: &'a mut Value, path: &Path) -> Result<&'a mut Value, Refusal> {
    let mut value = data;
    for (exists, segment) in path.segments().iter().enumerate() {
        let free = matches!(path.segments(), [Segment::Key(stages), _, Segment::Key(with), ..] if exists > 1 && stages == "stages" && with == "with");
        if free && value.is_null() {
            *value = Value::Mapping(Mapping::new());
        }
        let refuse = |names, message| Refusal { exists, names, message };
        value = match (value, segment) {
            (Value::Sequence(items), Segment::Index(index)) => {
                let count = items.len();
                let message = || format!("the list has {count} items, counted from 0");
                items.get_mut(*index).ok_or_else(|| refuse(Vec::new(), message()))?
            }
            (Value::Mapping(entries), Segment::Key(key)) => {
                if !free && !entries.contains_key(key.as_str()) {
                    let names = entries.keys().filter_map(Value::as_str).map(str::to_owned).collect();
                    return Err(refuse(names, format!("there is no `{key}`")));
                }
                entries.entry(Value::String(key.clone())).or_insert(Value::Null)
            }
            (_, Segment::Key(key)) => {
                return Err(refuse(Vec::new(), format!("there is no `{key}` in a value that is not a mapping")));
            }
            (_, Segment::Index(_)) => {
                return Err(refuse(Vec::new(), "the value is not a list".to_owned()));
            }
        };
    }
    Ok(value)
}

fn refused(set: &Set, path: &Path, refusal: &Refusal, places: &Places) -> Mistake {
    let above = path.segments()[..refusal.exists].iter().fold(Path::root(), |path, segment| path.with(segment.clone()));
    let inside = if refusal.exists == 0 { String::new() } else { format!(" in `{above}`") };
    let message = format!("`--set {set}` matches nothing in the manifest: {}{inside}", refusal.message);
    let names = refusal.names.iter().map(String::as_str);
    let near = path.segments().get(refusal.exists).and_then(|segment| match segment {
        Segment::Key(key) => did_you_mean(key, names),
        Segment::Index(_) => None,
    });
    let all = (!refusal.names.is_empty()).then(|| format!("there are {}", listed(&refusal.names)));
    places.mistake_at_key(&above, "unknown-path", message).help_if(near.or(all))
}

fn unplaced(set: &Set, places: &Places, message: &str) -> Mistake {
    let mistake = Mistake::new("unknown-path", format!("`--set {set}`: {message}"));
    Mistake { source: Some(places.source().file.clone()), ..mistake }
}
