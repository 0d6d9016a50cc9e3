//! Mistakes in fields. Takes the error of reading a value into a type; gives a mistake at the field that the error is about.

use super::places::Places;
use crate::diagnostic::{Mistake, did_you_mean, listed};
use crate::source::{Path, Segment};

/// What serde calls a type, and what a message calls it.
const TYPES: &[(&str, &str)] = &[
    ("a string", "text"),
    ("string", "text"),
    ("a borrowed string", "text"),
    ("a character", "one character"),
    ("a boolean", "`true` or `false`"),
    ("a sequence", "a list"),
    ("a map", "a mapping"),
    ("unit", "nothing"),
    ("a Value::Tagged enum", "one of its values"),
    ("usize", "a whole number of 0 or more"),
    ("isize", "a whole number"),
];

/// Returns the mistake at the key or value that the error is about; `at` is the path of the value that was read.
pub(super) fn mistake(places: &Places, at: &Path, error: &serde_path_to_error::Error<serde_yaml::Error>) -> Mistake {
    let path = at.join(&Path::from(error.path()));
    let text = error.inner().to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    // What yaml_serde puts in front is the same path that the labels show.
    let text = ["unknown field", "missing field", "unknown variant", "invalid ", "duplicate field"]
        .iter()
        .find_map(|start| text.find(&format!(": {start}")))
        .map_or(text, |colon| &text[colon + 2..]);
    let names = quoted(text);
    let (first, rest) = names.split_first().map_or(("", [].as_slice()), |(first, rest)| (*first, rest));
    if text.starts_with("unknown field") {
        let path = if path.last() == Some(&Segment::Key(first.to_owned())) { path } else { path.key(first) };
        return places
            .mistake_at_key(&path, "unknown-field", format!("there is no field `{first}` here"))
            .help(choice(first, rest));
    }
    if text.starts_with("missing field") {
        let owner = if path.last() == Some(&Segment::Key("with".to_owned())) { path.parent() } else { None };
        let place = match path.last() {
            None => "the file".to_owned(),
            Some(_) => format!("`{path}`"),
        };
        let message = format!("the field `{first}` is missing in {place}");
        let mistake = places.mistake_at_key(owner.as_ref().unwrap_or(&path), "missing-field", message);
        return mistake.help(format!("add `{first}: …` to {place}"));
    }
    let field = match path.last() {
        Some(Segment::Key(key)) => format!("`{key}`"),
        Some(Segment::Index(index)) => format!("item {index}"),
        None => "the file".to_owned(),
    };
    if text.starts_with("unknown variant") {
        let message = format!("{field} cannot be `{first}`");
        return places.mistake_at_value(&path, "unknown-value", message).help(choice(first, rest));
    }
    let wrong = ["invalid type: ", "invalid value: "].iter().find_map(|start| text.strip_prefix(start));
    if let Some((found, expected)) = wrong.and_then(|wrong| wrong.rsplit_once(", expected ")) {
        let message = format!("{field} must be {}, not {}", expected_type(expected), found_value(found));
        return places.mistake_at_value(&path, "wrong-type", message);
    }
    places.mistake_at_value(&path, "wrong-value", format!("{field}: {text}"))
}

/// Returns the words between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn choice(name: &str, among: &[&str]) -> String {
    let all = match among {
        [] => "there are no fields here".to_owned(),
        [one] => format!("there is only `{one}`"),
        several => format!("there are {}", listed(several)),
    };
    did_you_mean(name, among.iter().copied()).unwrap_or(all)
}

fn expected_type(expected: &str) -> String {
    let known = TYPES.iter().find(|(name, _)| *name == expected).map(|(_, means)| (*means).to_owned());
    let width = |letter| {
        expected.strip_prefix(letter).is_some_and(|bits: &str| !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    known.unwrap_or_else(|| match expected {
        _ if width('u') => "a whole number of 0 or more".to_owned(),
        _ if width('i') => "a whole number".to_owned(),
        _ if width('f') => "a number".to_owned(),
        _ if expected.starts_with("struct ") || expected.starts_with("internally ") => "a mapping".to_owned(),
        _ if expected.starts_with("a sequence") || expected.starts_with("tuple ") => "a list".to_owned(),
        _ if expected.starts_with("a nonzero ") => "a whole number of 1 or more".to_owned(),
        other => other.to_owned(),
    })
}

fn found_value(found: &str) -> String {
    match found {
        "unit value" | "null" | "Option value" => "nothing".to_owned(),
        "map" => "a mapping".to_owned(),
        "sequence" => "a list".to_owned(),
        _ => {
            if let Some(text) = found.strip_prefix("string ") {
                return format!("the text {}", text.replace('"', "`"));
            }
            let number = ["integer ", "floating point ", "boolean "].iter().find_map(|kind| found.strip_prefix(kind));
            number.map_or_else(|| found.to_owned(), ToOwned::to_owned)
        }
    }
}
