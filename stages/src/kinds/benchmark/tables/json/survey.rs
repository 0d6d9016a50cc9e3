//! The layout of a JSON file that begins with an object. Takes its text; gives where its rows are. Keeps nothing of the rows in memory.

use std::{
    cell::Cell,
    fmt,
    io::{self, BufRead as _, Read},
    rc::Rc,
};

use engine::{File, StageError, without_place};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::unpacked::{Text, unreadable};

/// Where the rows are.
pub(super) enum Layout {
    /// Each line is a row.
    Lines,
    /// The file is one row, over several lines.
    Row,
    /// The rows are in an array, which begins after so many bytes.
    Array(u64),
}

/// Reads the first object. It is a table if nothing follows it, and it has one array of objects.
pub(super) fn layout(file: &File, mut text: Text, question: Option<&str>) -> Result<Layout, StageError> {
    let mut line = Vec::new();
    text.read_until(b'\n', &mut line).map_err(|error| unreadable(file.name(), &error))?;
    // An object that is open at the end of its first line goes over several lines.
    let over_lines = matches!(line.trim_ascii(), b"{");
    let at = Rc::new(Cell::new(0));
    let text = Counted { reader: io::Cursor::new(line.clone()).chain(text), at: Rc::clone(&at) };
    let mut reader = serde_json::Deserializer::from_reader(text);
    let found = match reader.deserialize_map(Survey { at: &at }) {
        Ok(found) => found,
        Err(error) if over_lines => {
            let place = format!("line {}, column {}", error.line(), error.column());
            return Err(StageError::failed(format!("`{}`, {place}: {}", file.name(), without_place(&error)))
                .help("mend the file, which begins as one JSON object"));
        }
        Err(_) => return Ok(Layout::Lines),
    };
    if reader.end().is_err() {
        return Ok(Layout::Lines);
    }
    let is_row = question.is_some_and(|question| found.fields.iter().any(|field| field == question));
    match found.arrays.as_slice() {
        [(_, at)] if !is_row => Ok(Layout::Array(*at)),
        [_, _, ..] if !is_row => {
            let names: Vec<_> = found.arrays.iter().map(|(name, _)| format!("`{name}`")).collect();
            Err(StageError::failed(format!("`{}` has several arrays of rows: {}", file.name(), names.join(", ")))
                .help("keep one of them in the file"))
        }
        _ if over_lines => Ok(Layout::Row),
        _ => Ok(Layout::Lines),
    }
}

/// What an object has.
#[derive(Default)]
struct Found {
    fields: Vec<String>,
    /// Its arrays of objects, each with the place of its first element.
    arrays: Vec<(String, u64)>,
}

struct Survey<'a> {
    at: &'a Cell<u64>,
}

impl<'de> Visitor<'de> for Survey<'_> {
    type Value = Found;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let mut found = Found::default();
        while let Some(field) = map.next_key::<String>()? {
            if let Some(at) = map.next_value_seed(Field { at: self.at })? {
                found.arrays.push((field.clone(), at));
            }
            found.fields.push(field);
        }
        Ok(found)
    }
}

/// A field's value. Gives the place of its first element, if it is an array of objects.
struct Field<'a> {
    at: &'a Cell<u64>,
}

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = Option<u64>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<u64>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

macro_rules! ignored {
    ($($visit:ident: $type:ty),*) => {
        $(fn $visit<E>(self, _: $type) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        })*
    };
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = Option<u64>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    ignored! { visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str }

    fn visit_unit<E>(self) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<u64>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Option<u64>, A::Error> {
        // The bracket is the last byte that was read.
        let at = self.at.get();
        let objects = items.next_element::<IsObject>()?.is_some_and(|first| first.0);
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(objects.then_some(at))
    }
}

/// Whether a value is an object.
#[derive(Default)]
struct IsObject(bool);

impl<'de> serde::Deserialize<'de> for IsObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IsObjectVisitor)
    }
}

struct IsObjectVisitor;

impl<'de> Visitor<'de> for IsObjectVisitor {
    type Value = IsObject;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    ignored! { visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str }

    fn visit_unit<E>(self) -> Result<IsObject, E> {
        Ok(IsObject(false))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<IsObject, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(IsObject(true))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<IsObject, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(IsObject(false))
    }
}

/// Counts the bytes that the parser has taken; it takes them one by one.
struct Counted<R> {
    reader: R,
    at: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.at.set(self.at.get() + read as u64);
        Ok(read)
    }
}
