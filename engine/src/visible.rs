//! Text for a terminal. Takes a text from outside; gives it with everything that would control a terminal written out.

use std::borrow::Cow;

/// Writes out control characters and marks that turn the direction of text, so that names, messages and models' words cannot move the
/// cursor, change colours or hide other text. Line ends and tabs stay.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if hidden(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

/// Replaces each such character by a mark of as many bytes, so that positions in the text stay as they are.
pub(crate) fn marked(text: &str) -> Cow<'_, str> {
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let mark = |c: char| match c.len_utf8() {
        _ if !hidden(c) => c,
        1 => '?',
        2 => '¿',
        _ => '\u{fffd}',
    };
    Cow::Owned(text.chars().map(mark).collect())
}

fn hidden(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::{marked, visible};

    #[test]
    fn what_drives_a_terminal_is_written_out_and_the_rest_stays() {
        assert_eq!(visible("a\tb\nžluť 日本 🦀"), "a\tb\nžluť 日本 🦀");
        for (text, shown) in [
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("a\rb", "a\\u{d}b"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{7f}", "\\u{7f}"),
            ("\u{202e}gpj.exe", "\\u{202e}gpj.exe"),
        ] {
            assert_eq!(visible(text), shown);
        }
    }

    #[test]
    fn marks_are_as_long_as_what_they_stand_for() {
        assert_eq!(marked("žluť\n"), "žluť\n");
        for (text, shown) in [("a\u{1b}b", "a?b"), ("a\u{9b}\u{61c}b", "a¿¿b"), ("a\u{202e}b", "a\u{fffd}b")] {
            assert_eq!(marked(text), shown);
            assert_eq!(marked(text).len(), text.len());
        }
    }
}
