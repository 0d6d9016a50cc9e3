//! The text of a file with its name, and places in it.

use std::sync::Arc;

/// A range of bytes in a text, always on character boundaries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Span {
    pub start: usize,
    pub end: usize,
}

/// A line and a column, both from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub line: usize,
    pub column: usize,
}

/// A text with its name.
#[derive(Debug)]
pub(crate) struct Text {
    /// The name as shown to people.
    pub name: String,
    /// The text without a byte order mark.
    pub text: Arc<str>,
}

impl Text {
    pub(crate) fn new(name: &str, text: &str) -> Arc<Self> {
        Arc::new(Self { name: name.to_owned(), text: text.into() })
    }

    /// Converts an offset in bytes to a line and a column.
    pub(crate) fn position(&self, offset: usize) -> Position {
        position(&self.text, offset)
    }
}

/// Converts an offset in bytes to a line and a column.
pub(crate) fn position(text: &str, offset: usize) -> Position {
    let before = &text[..text.floor_char_boundary(offset)];
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Position { line: before.matches('\n').count() + 1, column: before[start..].chars().count() + 1 }
}
