//! Paths. Takes a text, or the path of a typed error; gives the keys and indices that lead to a value.

use std::fmt;
use std::str::FromStr;

/// One step into a mapping or a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Segment {
    Key(String),
    Index(usize),
}

/// The path from the top of a file to one of its values; prints as `stages.answers.with.models[0]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Path(Vec<Segment>);

impl Path {
    /// Returns the path of the whole file.
    pub(crate) fn root() -> Self {
        Self::default()
    }

    /// Builds a path from keys.
    pub(crate) fn of(keys: &[&str]) -> Self {
        Self(keys.iter().map(|&key| Segment::Key(key.to_owned())).collect())
    }

    /// Returns the path with one key more.
    #[must_use]
    pub(crate) fn key(&self, key: impl Into<String>) -> Self {
        self.with(Segment::Key(key.into()))
    }

    /// Returns the path with one index more.
    #[must_use]
    pub(crate) fn index(&self, index: usize) -> Self {
        self.with(Segment::Index(index))
    }

    /// Returns the path with one step more.
    #[must_use]
    pub(crate) fn with(&self, segment: Segment) -> Self {
        Self(self.0.iter().cloned().chain([segment]).collect())
    }

    /// Returns the path followed by `rest`.
    #[must_use]
    pub(crate) fn join(&self, rest: &Self) -> Self {
        Self(self.0.iter().chain(&rest.0).cloned().collect())
    }

    /// Returns the path one step up; the root has none.
    pub(crate) fn parent(&self) -> Option<Self> {
        let (_, before) = self.0.split_last()?;
        Some(Self(before.to_vec()))
    }

    /// Returns the steps.
    pub(crate) fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Returns the last step; the root has none.
    pub(crate) fn last(&self) -> Option<&Segment> {
        self.0.last()
    }

    /// Returns the rest of the path after `above`; `None` where it does not start with `above`.
    pub(crate) fn below(&self, above: &Self) -> Option<Self> {
        self.0.strip_prefix(above.0.as_slice()).map(|rest| Self(rest.to_vec()))
    }
}

impl From<&serde_path_to_error::Path> for Path {
    fn from(path: &serde_path_to_error::Path) -> Self {
        use serde_path_to_error::Segment as Step;
        let steps = path.iter().map_while(|step| match step {
            Step::Seq { index } => Some(Segment::Index(*index)),
            Step::Map { key } => Some(Segment::Key(key.clone())),
            Step::Enum { variant } => Some(Segment::Key(variant.clone())),
            Step::Unknown => None,
        });
        Self(steps.collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(out, "[{index}]")?,
                Segment::Key(key) if key.is_empty() || key.contains(['.', '[', ']', '"', '=']) => {
                    write!(out, "[{key:?}]")?;
                }
                Segment::Key(key) if place == 0 => out.write_str(key)?,
                Segment::Key(key) => write!(out, ".{key}")?,
            }
        }
        Ok(())
    }
}

/// A text that is not a path such as `a.b[0]`, or `a["b.c"]` where a key has a dot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a path: write `a.b[0]`, or `a[\"b.c\"]` for a key with a dot")]
pub(crate) struct NoPath(String);

impl FromStr for Path {
    type Err = NoPath;

    fn from_str(text: &str) -> Result<Self, NoPath> {
        let (mut segments, mut rest) = (Vec::new(), text);
        while !rest.is_empty() {
            let (segment, after) = step(rest, segments.is_empty()).ok_or_else(|| NoPath(text.to_owned()))?;
            segments.push(segment);
            rest = after;
        }
        if segments.is_empty() { Err(NoPath(text.to_owned())) } else { Ok(Self(segments)) }
    }
}

/// Reads one step off the front of a text.
fn step(text: &str, first: bool) -> Option<(Segment, &str)> {
    if let Some(quoted) = text.strip_prefix('[').filter(|rest| rest.starts_with('"')) {
        let mut values = serde_json::Deserializer::from_str(quoted).into_iter::<String>();
        let key = values.next()?.ok()?;
        let rest = quoted[values.byte_offset()..].strip_prefix(']')?;
        return Some((Segment::Key(key), rest));
    }
    if let Some(bracket) = text.strip_prefix('[') {
        let (index, rest) = bracket.split_once(']')?;
        return Some((Segment::Index(index.parse().ok()?), rest));
    }
    let word = if first { text } else { text.strip_prefix('.')? };
    let end = word.find(['.', '[', ']', '"']).unwrap_or(word.len());
    (end > 0).then(|| (Segment::Key(word[..end].to_owned()), &word[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_prints_reads_back() {
        for text in ["stages.answers.with.models[0]", "prices[\"gemini/2.5-flash\"].input", "a", "a[1][2].b", "[\"\"].x"] {
            assert_eq!(text.parse::<Path>().expect(text).to_string(), text);
        }
        for text in ["", ".", "a..b", "a.", "a[", "a[x]", "a]", "a[\"x]", "a[1"] {
            assert!(text.parse::<Path>().is_err(), "{text}");
        }
    }
}
