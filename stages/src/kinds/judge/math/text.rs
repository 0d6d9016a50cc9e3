//! The text of a formula. Takes TeX or plain text; gives it without what surrounds it, and its parts.

use super::super::final_answer;

/// Returns the text without what surrounds a formula.
pub(super) fn cleaned(text: &str) -> String {
    let mut text = text.trim();
    loop {
        let before = text;
        text = text.trim().trim_matches(['$', '`', '*', '"']).trim().trim_end_matches(['.', ';', ',']).trim();
        for (open, close) in [("\\(", "\\)"), ("\\[", "\\]")] {
            if let Some(inner) = text.strip_prefix(open).and_then(|text| text.strip_suffix(close)) {
                text = inner;
            }
        }
        if text == before {
            break;
        }
    }
    match final_answer::marked(text) {
        Some(inner) if text.contains("boxed") => inner.into_owned(),
        _ => text.replace('$', ""),
    }
}

/// Returns a text without spaces and without the commands that only change how it looks.
pub(super) fn compact(text: &str) -> String {
    let mut text = text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac");
    for command in [
        "\\left",
        "\\right",
        "\\!",
        "\\,",
        "\\;",
        "\\ ",
        "\\displaystyle",
        "\\mathrm",
        "\\textbf",
        "\\mbox",
        "\\text",
        "^\\circ",
        "^{\\circ}",
        "\\%",
        "%",
        "°",
    ] {
        text = text.replace(command, "");
    }
    text.chars().filter(|character| !character.is_whitespace() && !"{}$".contains(*character)).collect::<String>().to_lowercase()
}

/// Returns the parts of a text between separators that stand in no brackets.
pub(super) fn split<'a>(text: &'a str, separators: &[&str]) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let (mut depth, mut from, mut at) = (0_i32, 0, 0);
    while let Some(character) = text[at..].chars().next() {
        let rest = &text[at..];
        let escaped = at > 0 && text[..at].ends_with('\\') && !"()[]".contains(character);
        match character {
            '(' | '[' | '{' if !escaped => depth += 1,
            ')' | ']' | '}' if !escaped => depth -= 1,
            _ => {}
        }
        if depth == 0
            && let Some(separator) = separators.iter().find(|separator| rest.starts_with(**separator))
        {
            parts.push(text[from..at].trim());
            at += separator.len();
            from = at;
        } else {
            at += character.len_utf8();
        }
    }
    parts.push(text[from..].trim());
    parts
}

/// A group of parts: what opens and closes it, and the parts.
pub(super) struct Group<'a> {
    pub open: char,
    pub close: char,
    pub parts: Vec<&'a str>,
}

/// Reads a tuple, an interval or a set: brackets around the whole text.
pub(super) fn group(text: &str) -> Option<Group<'_>> {
    let inner = text.trim();
    let inner = inner.strip_prefix("\\left").unwrap_or(inner).trim_start();
    let (open, rest) = match inner.strip_prefix("\\{") {
        Some(rest) => ('{', rest),
        None => (inner.chars().next().filter(|open| "([".contains(*open))?, &inner[1..]),
    };
    let (close, rest) = match rest.strip_suffix("\\}") {
        Some(rest) => ('}', rest),
        None => (rest.chars().next_back().filter(|close| ")]".contains(*close))?, &rest[..rest.len() - 1]),
    };
    let rest = rest.strip_suffix("\\right").unwrap_or(rest);
    let closes_early = {
        let mut depth = 1;
        rest.chars().any(|character| {
            depth += i32::from("([".contains(character)) - i32::from(")]".contains(character));
            depth == 0
        })
    };
    (!closes_early && (open == '{') == (close == '}')).then(|| Group { open, close, parts: split(rest, &[","]) })
}

/// Returns the letters of an answer in words, such as `\text{Friday}` or `(C)`.
pub(super) fn words(text: &str) -> Option<String> {
    let text = compact(text);
    let word: String = text.chars().filter(|character| character.is_alphanumeric()).collect();
    (!word.is_empty() && word.chars().all(char::is_alphabetic) && !text.contains('\\')).then_some(word)
}
