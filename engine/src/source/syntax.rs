//! Syntax errors. Takes a parser's complaint and its offset; gives a mistake that says what to do.

use std::sync::Arc;

use crate::{
    diagnostic::Mistake,
    text::{Span, Text},
};

/// A part of what the parsers say, what it means, and what to do.
const MEANINGS: &[(&str, &str, &str)] = &[
    ("unknown anchor", "there is no anchor of this name above", "define it first, with `&name` before a value"),
    (
        "mapping values are not allowed",
        "a `:` that starts no value here",
        "text with `: ` in it goes in quotes; or check the indentation",
    ),
    (
        "illegal placement of ':'",
        "a `:` that starts no value here",
        "text with `: ` in it goes in quotes; or check the indentation",
    ),
    ("simple key expect", "a key without its `:`", "write `key: value`, with a space after the colon"),
    ("expected ',' or '}'", "this `{ … }` is not closed, or a comma is missing", "separate entries by commas and end with `}`"),
    ("expected ',' or ']'", "this `[ … ]` is not closed, or a comma is missing", "separate items by commas and end with `]`"),
    ("quoted scalar, found unexpected end", "a quote is not closed", "end the text with the quote that starts it"),
    ("unknown escape character", "an escape that does not exist", "write `\\\\` for a backslash, or use single quotes"),
    ("trailing content", "something follows the closing quote", "put all of the text in quotes"),
    ("did not find expected key", "this line does not fit the mapping around it", "align it with the keys above"),
    ("expected '-' indicator", "this line does not fit the list around it", "align it with the `-` above"),
    ("invalid indentation", "the indentation fits nothing above", "align it with what it belongs to"),
    ("wrongly indented", "the indentation fits nothing above", "align it with what it belongs to"),
    ("recursion limit", "nested too deep", "flatten it"),
    ("cannot start any token", "this character cannot start a value", "put the text in quotes"),
];

/// Returns a mistake that says what is wrong with the syntax at an offset, in bytes.
pub(super) fn syntax(source: &Arc<Text>, offset: usize, complaint: &str) -> Mistake {
    if let Some(tab) = tab(&source.text, offset) {
        return Mistake::at(source, tab, "tab", "a tab indents this line")
            .label("YAML indents with spaces")
            .help("replace each tab by two spaces");
    }
    let known = MEANINGS.iter().find(|(part, ..)| complaint.contains(part));
    let (message, help) = known.map_or((complaint, "see https://yaml.org for the syntax"), |&(_, means, help)| (means, help));
    Mistake::at(source, character(&source.text, offset), "syntax", message).help(help)
}

/// Finds the tabs that indent the line at an offset or the line before: one of them is what stopped the parser.
fn tab(text: &str, offset: usize) -> Option<Span> {
    let offset = text.floor_char_boundary(offset);
    let line = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
    let before = text[..line.saturating_sub(1)].rfind('\n').map_or(0, |newline| newline + 1);
    [line, before].into_iter().find_map(|start| {
        let blank = text[start..].find(|c| c != ' ' && c != '\t').unwrap_or(text.len() - start);
        let first = text[start..start + blank].find('\t')?;
        Some(Span { start: start + first, end: start + blank })
    })
}

/// Returns the range of the character at an offset, or of the last visible one before it.
fn character(text: &str, offset: usize) -> Span {
    let offset = text.floor_char_boundary(offset);
    if let Some(here) = text[offset..].chars().next().filter(|c| !c.is_whitespace()) {
        return Span { start: offset, end: offset + here.len_utf8() };
    }
    let seen = text[..offset].trim_end();
    let width = seen.chars().next_back().map_or(0, char::len_utf8);
    Span { start: seen.len() - width, end: seen.len() }
}
