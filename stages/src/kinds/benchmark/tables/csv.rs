//! CSV. Takes a file with a header and any columns; gives questions. An empty cell counts as missing.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, Cursor, Read as _},
};

use engine::{Context, File, StageError};
use serde_json::Value;

use super::{
    columns::{self, Cells},
    row::{self, Place, Row, Rows},
};
use crate::{
    kinds::benchmark::{
        draft::Draft,
        loader::{Benchmark, Reads, Settings},
    },
    unpacked::{self, Text},
};

pub(crate) const BENCHMARK: Benchmark = Benchmark {
    name: "csv",
    summary: "any CSV or TSV file with a header",
    example: "{ name: csv, path: questions.csv, columns: { question: asked, gold: right } }",
    version: 2,
    reads: Reads::File,
    published: &[],
    load,
};

fn load(ctx: &Context, settings: &Settings<'_>) -> Result<Vec<Draft>, StageError> {
    let file = settings.file()?;
    let rows = rows(ctx, file, settings.delimiter)?;
    row::drafts(file, rows, columns::HELP, |_, row| columns::draft(row, settings.columns, Cells::Texts))
}

/// Returns the rows of a CSV file with a header. Every cell is a text.
pub(crate) fn rows<'a>(ctx: &Context, file: &'a File, delimiter: Option<u8>) -> Result<Rows<'a>, StageError> {
    let (first, text) = first_line(ctx, file)?;
    let delimiter = delimiter.unwrap_or_else(|| delimiter_of(&first));
    let mut reader = ::csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text);
    let header = reader.headers().map_err(|error| malformed(file, &error))?.clone();
    refuse_double(file, &header)?;
    Ok(Box::new(reader.into_records().map(move |record| {
        let record = record.map_err(|error| malformed(file, &error))?;
        let cell = |cell: &str| if cell.is_empty() { Value::Null } else { Value::from(cell) };
        let value = header.iter().zip(&record).map(|(name, text)| (name.to_owned(), cell(text))).collect();
        Ok(Row { place: place(&record), value: Value::Object(value) })
    })))
}

/// The longest header that is looked at for a delimiter.
const HEADER: u64 = 1 << 20;

/// Returns the first line of a file, and its whole text.
pub(crate) fn first_line(ctx: &Context, file: &File) -> Result<(Vec<u8>, Text), StageError> {
    let (mut text, mut line) = (unpacked::open(ctx, file)?, Vec::new());
    let read = text.by_ref().take(HEADER).read_until(b'\n', &mut line);
    read.map_err(|error| unpacked::unreadable(file.name(), &error))?;
    Ok((line.clone(), Box::new(Cursor::new(line).chain(text))))
}

/// Returns what separates the cells of a header: a tab if it has one, else a semicolon if it has one and no comma, else a comma.
fn delimiter_of(header: &[u8]) -> u8 {
    let has = |byte| header.contains(&byte);
    match (has(b'\t'), has(b','), has(b';')) {
        (true, ..) => b'\t',
        (_, false, true) => b';',
        _ => b',',
    }
}

/// Refuses a header that has a name twice, since only one of the columns could be read.
fn refuse_double(file: &File, header: &::csv::StringRecord) -> Result<(), StageError> {
    let mut places = BTreeMap::new();
    for (index, name) in header.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
        if let Some(before) = places.insert(name, index) {
            let columns = format!("columns {} and {}", before + 1, index + 1);
            return Err(StageError::failed(format!("`{}`: {columns} are both named `{name}`", file.name()))
                .help("rename one of them in the file's first line"));
        }
    }
    Ok(())
}

/// Returns the line on which a record begins.
pub(crate) fn place(record: &::csv::StringRecord) -> Place {
    Place::Line(record.position().map_or(0, ::csv::Position::line) as usize)
}

/// Builds the error of a file that is malformed as CSV, with its line.
pub(crate) fn malformed(file: &File, error: &::csv::Error) -> StageError {
    let line = error.position().map(|position| format!(", line {}", position.line())).unwrap_or_default();
    let what = match error.kind() {
        ::csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("there are {len} columns, and {expected_len} in the lines before")
        }
        ::csv::ErrorKind::Utf8 { err, .. } => format!("column {} is no UTF-8 text", err.field() + 1),
        _ => error.to_string(),
    };
    StageError::failed(format!("`{}`{line}: {what}", file.name())).help("mend the line, or take it out")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_says_what_separates_cells() {
        for (header, delimiter) in [("a,b", b','), ("a\tb, c", b'\t'), ("a;b", b';'), ("a;b,c", b','), ("a", b',')] {
            assert_eq!(delimiter_of(header.as_bytes()), delimiter, "{header}");
        }
    }
}
