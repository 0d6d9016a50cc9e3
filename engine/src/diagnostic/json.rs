//! Reports for programs. Takes sorted mistakes; gives one JSON document, version 1.

use serde::Serialize;

use super::{Mistake, Severity};

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    mistakes: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    code: &'a str,
    severity: &'a str,
    message: &'a str,
    help: Option<&'a str>,
    file: Option<&'a str>,
    labels: Vec<Place<'a>>,
}

/// Lines and columns from 1, columns in characters; offset and length in bytes.
#[derive(Serialize)]
struct Place<'a> {
    line: usize,
    column: usize,
    offset: usize,
    length: usize,
    primary: bool,
    text: &'a str,
}

pub(super) fn render(mistakes: &[&Mistake]) -> String {
    let mistakes = mistakes.iter().map(|mistake| entry(mistake)).collect();
    let document = Document { version: 1, mistakes };
    let mut text = serde_json::to_string_pretty(&document).expect("text and numbers always serialise");
    text.push('\n');
    text
}

fn entry(mistake: &Mistake) -> Entry<'_> {
    let places = mistake.source.iter().flat_map(|source| {
        mistake.labels.iter().map(|label| {
            let position = source.position(label.span.start);
            Place {
                line: position.line,
                column: position.column,
                offset: label.span.start,
                length: label.span.end - label.span.start,
                primary: label.primary,
                text: &label.text,
            }
        })
    });
    Entry {
        code: mistake.code,
        severity: match mistake.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        message: &mistake.message,
        help: mistake.help.as_deref(),
        file: mistake.file(),
        labels: places.collect(),
    }
}
