//! Params of a manifest. Takes a manifest's data; gives it with each `${params.NAME}` replaced by the value of that name.

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml::Value;

use super::places::{Origin, Places};
use crate::diagnostic::{Mistake, did_you_mean, listed};
use crate::source::{Path, Segment};

const START: &str = "${params.";

/// Replaces all references; returns a warning for each param that nothing uses.
pub(super) fn apply(data: &mut Value, places: &mut Places, mistakes: &mut Vec<Mistake>) -> Vec<Mistake> {
    let params = declared(data, places, mistakes);
    let mut replacer = Replacer { params: &params, used: BTreeSet::new(), places, mistakes };
    replacer.visit(data, &Path::root());
    let used = replacer.used;
    let unused = params.keys().filter(|name| !used.contains(*name)).map(|name| {
        let path = Path::of(&["params", name]);
        let mistake = places.mistake_at_key(&path, "unused-param", format!("nothing uses `params.{name}`")).warning();
        mistake.help(format!("write `${{params.{name}}}` where its value belongs, or remove it"))
    });
    unused.collect()
}

fn declared(data: &Value, places: &Places, mistakes: &mut Vec<Mistake>) -> BTreeMap<String, Value> {
    match data.get("params") {
        None | Some(Value::Null) => BTreeMap::new(),
        Some(Value::Mapping(entries)) => {
            entries.iter().filter_map(|(name, value)| Some((name.as_str()?.to_owned(), value.clone()))).collect()
        }
        Some(_) => {
            let mistake = places.mistake_at_value(&Path::of(&["params"]), "wrong-type", "`params` must be a mapping");
            mistakes.push(mistake.help("write `params: { name: value }`"));
            BTreeMap::new()
        }
    }
}

struct Replacer<'a> {
    params: &'a BTreeMap<String, Value>,
    used: BTreeSet<String>,
    places: &'a mut Places,
    mistakes: &'a mut Vec<Mistake>,
}

impl Replacer<'_> {
    fn visit(&mut self, value: &mut Value, path: &Path) {
        match value {
            Value::String(text) if text.contains(START) => {
                if let Some(replacement) = self.replacement(text, path) {
                    *value = replacement;
                }
            }
            Value::Sequence(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.visit(item, &path.index(index));
                }
            }
            Value::Mapping(entries) => {
                for (key, item) in entries.iter_mut() {
                    self.visit(item, &path.key(key.as_str().unwrap_or_default()));
                }
            }
            _ => {}
        }
    }

    fn replacement(&mut self, text: &str, path: &Path) -> Option<Value> {
        if !replaceable(path) {
            let mistake = self.places.mistake_at_value(path, "misplaced-param", "a param is not allowed here");
            self.mistakes.push(mistake.help("params are allowed in `in`, in `with` and in sections"));
            return None;
        }
        let name =
            text.strip_prefix(START).and_then(|rest| rest.strip_suffix('}')).filter(|name| !name.contains(['$', '{', '}']));
        let Some(name) = name else {
            let mistake =
                self.places.mistake_at_value(path, "spliced-param", "a param stands for a whole value, not for a part of a text");
            self.mistakes.push(mistake.help("put the whole text into the param and write nothing but `${params.NAME}` here"));
            return None;
        };
        self.used.insert(name.to_owned());
        let Some(value) = self.params.get(name) else {
            let names: Vec<&str> = self.params.keys().map(String::as_str).collect();
            let all = match names.as_slice() {
                [] => format!("declare it: `params: {{ {name}: … }}`"),
                names => format!("there are {}", listed(names)),
            };
            let mistake = self.places.mistake_at_value(path, "unknown-param", format!("there is no param `{name}`"));
            self.mistakes.push(mistake.help(did_you_mean(name, names).unwrap_or(all)));
            return None;
        };
        self.places.note(path, Origin::Param(name.to_owned()));
        Some(value.clone())
    }
}

/// Returns whether a param may stand at a path. Names and kinds may not come from params: a reader must see them in the file.
fn replaceable(path: &Path) -> bool {
    let key = |at: usize| match path.segments().get(at) {
        Some(Segment::Key(key)) => Some(key.as_str()),
        _ => None,
    };
    match key(0) {
        Some("version" | "name" | "params") => false,
        Some("stages") => matches!(key(2), Some("in" | "with")),
        _ => true,
    }
}
