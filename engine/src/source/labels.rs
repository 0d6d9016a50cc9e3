//! Labels. Takes a path in a source; gives the labels that show a mistake at its key or its value.

use std::sync::Arc;

use super::{Path, Source};
use crate::{
    diagnostic::{Label, Mistake},
    text::Span,
};

/// Returns a mistake at the value of a path, or at the nearest place above it.
pub(crate) fn mistake_at_value(source: &Source, path: &Path, code: &'static str, message: impl Into<String>) -> Mistake {
    let labels = value_labels(source, path);
    Mistake { source: Some(Arc::clone(&source.file)), labels, ..Mistake::new(code, message) }
}

/// Labels the value of a path where it is written and, through an alias, where it is used.
pub(crate) fn value_labels(source: &Source, path: &Path) -> Vec<Label> {
    let Some(place) = source.value(path) else {
        return vec![key_label(source, path)];
    };
    let text = &source.file.text[place.written.start..place.written.end];
    // A block of several lines is labelled at its key: brackets around half a file help nobody.
    if text.is_empty() || (text.contains('\n') && source.key(path).is_some()) {
        return vec![key_label(source, path)];
    }
    let end = place.written.start + text.lines().next().unwrap_or_default().trim_end().len();
    let written = Span { start: place.written.start, end };
    let used = place.used.map(|span| Label { span, text: "used here".to_owned(), primary: false });
    [Label { span: written, text: String::new(), primary: true }].into_iter().chain(used).collect()
}

/// Labels the key of a path, or the nearest place above it.
pub(crate) fn key_label(source: &Source, path: &Path) -> Label {
    let up = std::iter::successors(Some(path.clone()), Path::parent);
    let span = up.into_iter().find_map(|path| source.key(&path).or_else(|| first_line(source, source.value(&path)?.written)));
    Label { span: span.unwrap_or_default(), text: String::new(), primary: true }
}

fn first_line(source: &Source, span: Span) -> Option<Span> {
    let line = source.file.text[span.start..span.end].lines().next()?.trim_end();
    (!line.is_empty()).then_some(Span { start: span.start, end: span.start + line.len() })
}
