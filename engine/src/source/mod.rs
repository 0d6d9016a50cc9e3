//! YAML files. Takes a text; gives its data, with the place of every key and value in the text.
//!
//! The data is read by `serde_yaml`, the places by a second parser. What the data parser would accept and silently lose (duplicate
//! keys, tags, keys that are not text) is refused, all of it at once. Read `path` (names a value), `spans` (reads the places of a text
//! into a tree), `frames` (adds a finished value to the collection around it), `tree` (finds the place of a path), `syntax` (explains a
//! parser's error) and `labels` (shows a mistake at a path).

mod frames;
mod labels;
mod path;
mod spans;
mod syntax;
mod tree;

use std::sync::Arc;

use serde_yaml::{Mapping, Value};

use crate::{
    diagnostic::Mistake,
    text::{Position, Span, Text, position},
};
use tree::Tree;

pub(crate) use labels::{key_label, mistake_at_value, value_labels};
pub(crate) use path::{Path, Segment};

/// The largest file that is read, in bytes.
pub(crate) const MAX_BYTES: u64 = 1024 * 1024;

/// The place of a value: where it is written and, through an alias or a merge, where it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub written: Span,
    /// The outermost of the aliases that lead from the path to the value.
    pub used: Option<Span>,
}

/// A text with its name, its data, and a place for every path of the data.
#[derive(Debug)]
pub(crate) struct Source {
    /// The file's name and text.
    pub file: Arc<Text>,
    data: Value,
    tree: Tree,
}

impl Source {
    /// Reads a YAML file. Every mistake of the text is reported, each with its place.
    pub(crate) fn read(path: &std::path::Path) -> Result<Arc<Self>, Vec<Mistake>> {
        let name = path.display().to_string();
        let refuse = |code, message: String, help: &str| {
            let empty = Text::new(&name, "");
            vec![Mistake { source: Some(empty), ..Mistake::new(code, message).help(help) }]
        };
        if path.is_dir() {
            return Err(refuse("not-a-file", format!("`{name}` is a folder, not a file"), "name a YAML file"));
        }
        let bytes = cache::read_regular(path, MAX_BYTES).map_err(|error| {
            let reason = match error.kind() {
                std::io::ErrorKind::NotFound => "does not exist".to_owned(),
                _ => format!("cannot be read: {error}"),
            };
            refuse("missing-file", format!("`{name}` {reason}"), "check the path, which is relative to the current folder")
        })?;
        if bytes.len() as u64 > MAX_BYTES {
            let message = format!("`{name}` is larger than the limit of {MAX_BYTES} bytes");
            return Err(refuse("too-large", message, "keep data in files of its own and name them here"));
        }
        match std::str::from_utf8(&bytes) {
            Ok(text) => Self::parse(&name, text),
            Err(error) => {
                let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
                let byte = bytes[error.valid_up_to()];
                Err(vec![binary(&name, &valid, &format!("the byte 0x{byte:02x} that is not UTF-8"))])
            }
        }
    }

    /// Reads YAML from a text. Every mistake of the text is reported, each with its place.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Arc<Self>, Vec<Mistake>> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let plain = Text::new(name, text);
        if text.len() as u64 > MAX_BYTES {
            let message = format!("`{name}` has {} bytes, more than the {MAX_BYTES} that are read", text.len());
            return Err(vec![Mistake { source: Some(plain), ..Mistake::new("too-large", message) }]);
        }
        let control = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
        if let Some((at, c)) = text.char_indices().find(|&(_, c)| control(c)) {
            let what = format!("the control character U+{:04X}", u32::from(c));
            return Err(vec![binary(name, &text[..at], &what)]);
        }
        // YAML 1.1 breaks lines at these, YAML 1.2 does not: the two parsers would read two different files.
        if let Some(start) = text.find(['\u{2028}', '\u{2029}']) {
            let mistake = Mistake::at(&plain, Span { start, end: start + 3 }, "syntax", "there is a Unicode line separator here");
            return Err(vec![mistake.help("write `\\u2028` in double quotes, or a line break")]);
        }
        let (tree, mut mistakes) = spans::read(&plain);
        if mistakes.is_empty() && tree.is_empty() {
            let message = format!("`{name}` is empty");
            mistakes.push(Mistake { source: Some(plain.clone()), ..Mistake::new("empty", message) });
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let data = serde_yaml::from_str::<Value>(text).map_err(|error| vec![refused(&plain, &error)])?;
        Ok(Arc::new(Self { file: plain, data: merged(data), tree }))
    }

    /// Returns the data, merges applied.
    pub(crate) fn data(&self) -> &Value {
        &self.data
    }

    /// Finds the key at a path; an item of a list has none.
    pub(crate) fn key(&self, path: &Path) -> Option<Span> {
        self.tree.key(path)
    }

    /// Finds the value at a path, through aliases and merges. A value left out has an empty span.
    pub(crate) fn value(&self, path: &Path) -> Option<Place> {
        self.tree.value(path)
    }
}

/// Returns the mistake of a file that is not text. The file is never shown, because its bytes could control the terminal.
fn binary(name: &str, before: &str, what: &str) -> Mistake {
    let Position { line, column } = position(before, before.len());
    let message = format!("`{name}` is not a text file: line {line}, column {column} has {what}");
    Mistake { source: Some(Text::new(name, "")), ..Mistake::new("binary", message) }.help("save the file as UTF-8 text")
}

/// Returns the mistake of a text that only the data parser refuses: a rare form that is valid YAML all the same.
fn refused(source: &Arc<Text>, error: &serde_yaml::Error) -> Mistake {
    let offset = error.location().map_or(0, |location| {
        let line = source.text.split_inclusive('\n').take(location.line().saturating_sub(1)).map(str::len).sum::<usize>();
        let rest = source.text.get(line..).unwrap_or_default();
        let column = rest.char_indices().nth(location.column().saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
        line + column
    });
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default().to_owned();
    syntax::syntax(source, offset, &message)
}

/// Applies merges from the inside out. The mapping's own entries win, then those of the first merged mapping.
fn merged(value: Value) -> Value {
    match value {
        Value::Sequence(items) => Value::Sequence(items.into_iter().map(merged).collect()),
        Value::Mapping(entries) => {
            let (mut own, mut merges) = (Mapping::new(), Vec::new());
            for (key, value) in entries {
                match (key.as_str(), merged(value)) {
                    (Some("<<"), Value::Sequence(several)) => merges = several,
                    (Some("<<"), one) => merges.push(one),
                    (_, value) => drop(own.insert(key, value)),
                }
            }
            for merge in merges {
                if let Value::Mapping(entries) = merge {
                    for (key, value) in entries {
                        own.entry(key).or_insert(value);
                    }
                }
            }
            Value::Mapping(own)
        }
        plain => plain,
    }
}

#[cfg(test)]
mod tests;
