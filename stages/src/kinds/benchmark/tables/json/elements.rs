//! The rows of a JSON array. Takes a text; gives the array's objects one at a time, so that memory does not depend on their number.

use std::io::{self, BufRead as _, Read};

use engine::{File, StageError, without_place};
use serde::Deserialize as _;
use serde_json::Value;

use crate::{
    kinds::benchmark::tables::row::{Place, Row},
    unpacked::Text,
};

/// The elements that were not read yet.
pub(super) struct Elements<'a> {
    file: &'a File,
    text: Located,
    /// How many elements were read.
    count: usize,
    /// Whether the array is all that the file has.
    alone: bool,
    done: bool,
}

impl<'a> Elements<'a> {
    /// Begins behind the bracket: the text's first, or the one before `skip`.
    pub(super) fn new(file: &'a File, text: Text, skip: Option<u64>) -> Result<Self, StageError> {
        let mut text = Located { text, line: 1, column: 0 };
        if let Some(skip) = skip {
            io::copy(&mut text.by_ref().take(skip), &mut io::sink())?;
        } else {
            text.next()?;
            text.take_one();
        }
        Ok(Self { file, text, count: 0, alone: skip.is_none(), done: false })
    }

    /// Reads the next element; nothing at the array's end.
    fn element(&mut self) -> Result<Option<Value>, String> {
        let mut found = self.next_byte()?;
        if found == Some(b']') {
            self.text.take_one();
            let behind = if self.alone { self.next_byte()? } else { None };
            return if behind.is_none() { Ok(None) } else { Err(self.text.here("something follows the array")) };
        }
        if self.count > 0 && found.is_some() {
            if found != Some(b',') {
                return Err(self.text.here("expected `,` or `]`"));
            }
            self.text.take_one();
            found = self.next_byte()?;
        }
        match found {
            Some(b'{') => {}
            Some(_) => return Err(self.text.here("a row is no object")),
            None => return Err(self.text.here("the array does not end; the file is cut off")),
        }
        let (line, column) = (self.text.line, self.text.column);
        // An object ends with its brace, so the parser takes nothing of what follows.
        let value = Value::deserialize(&mut serde_json::Deserializer::from_reader(&mut self.text));
        value.map(Some).map_err(|error| {
            let column = if error.line() == 1 { column + error.column() } else { error.column() };
            place(&without_place(&error), line + error.line().saturating_sub(1), column)
        })
    }

    fn next_byte(&mut self) -> Result<Option<u8>, String> {
        self.text.next().map_err(|error| self.text.here(&error.to_string()))
    }
}

impl Iterator for Elements<'_> {
    type Item = Result<Row, StageError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let element = self.element();
        self.count += 1;
        self.done = !matches!(element, Ok(Some(_)));
        match element {
            Ok(value) => value.map(|value| Ok(Row { place: Place::Row(self.count), value })),
            Err(what) => Some(Err(StageError::failed(format!("`{}`: {what}", self.file.name()))
                .help("mend the file, whose rows are in a JSON array"))),
        }
    }
}

/// A text that counts its lines, and the columns of the present one.
struct Located {
    text: Text,
    line: usize,
    column: usize,
}

impl Located {
    /// Returns the next byte that is no white space, and leaves it there.
    fn next(&mut self) -> io::Result<Option<u8>> {
        loop {
            match self.text.fill_buf()?.first().copied() {
                Some(byte) if byte.is_ascii_whitespace() => self.take_one(),
                other => return Ok(other),
            }
        }
    }

    /// Takes the byte that [`Self::next`] returned.
    fn take_one(&mut self) {
        drop(self.read(&mut [0]));
    }

    fn here(&self, what: &str) -> String {
        place(what, self.line, self.column + 1)
    }
}

impl Read for Located {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.text.read(buffer)?;
        for byte in &buffer[..read] {
            (self.line, self.column) = if *byte == b'\n' { (self.line + 1, 0) } else { (self.line, self.column + 1) };
        }
        Ok(read)
    }
}

fn place(what: &str, line: usize, column: usize) -> String {
    format!("{what} at line {line} column {column}")
}
