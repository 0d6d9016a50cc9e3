//! Answers without their markup. Takes an answer and the choices; gives plain text in which each choice's words are one mark.

use std::{borrow::Cow, sync::LazyLock};

use regex::Regex;

use super::{
    label::{Labels, compiled},
    mark::{mark, marked},
};

static STRUCK: LazyLock<Regex> = LazyLock::new(|| compiled(r"~~[^~\n]*~~|(?i)<(?:s|del)>[^<]*</(?:s|del)>"));
static TEX: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"\\(?:boxed|fbox|text|textbf|textit|mathrm|mathbf|mathit|bf|rm)\b\s*|\\[()\[\],;!]|[${}`*]|__"));
static TAG: LazyLock<Regex> = LazyLock::new(|| compiled(r"</?[A-Za-z][A-Za-z0-9_-]*(?:\s[^<>\n]*)?/?>"));
/// A letter in angle brackets, which is no tag where none is closed.
static BRACKETED: LazyLock<Regex> = LazyLock::new(|| compiled(r"<\s*([A-Za-z])\s*>"));
/// A Cyrillic letter by itself that looks like a Latin one, as in "Ответ: В".
static CYRILLIC: LazyLock<Regex> = LazyLock::new(|| compiled(r"([:(—–-]\s*)([АВСЕНКМ])([)\s.,]|$)"));

/// Returns the text with one form of each character: wide, circled and curly ones as ASCII.
pub(super) fn unified(text: &str) -> Cow<'_, str> {
    if text.is_ascii() && !text.contains('\r') {
        return Cow::Borrowed(text);
    }
    let text: String = text
        .chars()
        .map(|character| match character {
            'Ａ'..='Ｚ' | 'ａ'..='ｚ' | '０'..='９' | '（' | '）' | '：' | '．' | '，' | '［' | '］' | '＝' => {
                char::from_u32(character as u32 - 0xFEE0).unwrap_or(character)
            }
            'Ⓐ'..='Ⓩ' => char::from_u32(character as u32 - 'Ⓐ' as u32 + 'A' as u32).unwrap_or(character),
            '🅐'..='🅩' => char::from_u32(character as u32 - '🅐' as u32 + 'A' as u32).unwrap_or(character),
            '🅰' => 'A',
            '🅱' => 'B',
            '’' | '‘' => '\'',
            '“' | '”' | '„' | '«' | '»' | '「' | '」' | '『' | '』' => '"',
            '【' => '[',
            '】' => ']',
            '。' => '.',
            // Those that stand for choices below are nobody's letters.
            '\u{a0}' | '\u{202f}' | '\u{2009}' | '\r' | '\u{fe0f}' | '\u{e000}'..='\u{e3e7}' => ' ',
            other => other,
        })
        .collect();
    if !text.contains(|character: char| ('А'..='М').contains(&character) || "НС".contains(character)) {
        return Cow::Owned(text);
    }
    let latin = |letter: &str| match letter {
        "А" => "A",
        "В" => "B",
        "С" => "C",
        "Е" => "E",
        "Н" => "H",
        "К" => "K",
        _ => "M",
    };
    CYRILLIC
        .replace_all(&text, |found: &regex::Captures<'_>| format!("{}{}{}", &found[1], latin(&found[2]), &found[3]))
        .into_owned()
        .into()
}

/// Removes markup, and puts one mark in place of the words of each choice.
pub(super) fn plain(text: &str, labels: &Labels) -> String {
    let mut text = Cow::Borrowed(text);
    if text.contains('<') && !text.contains("</") {
        text = BRACKETED.replace_all(&text, "($1)").into_owned().into();
    }
    for (pattern, by, needs) in
        [(&STRUCK, "", &['~', '<'][..]), (&TAG, " ", &['<']), (&TEX, "", &['\\', '$', '{', '}', '`', '*', '_'])]
    {
        if text.contains(needs) {
            text = pattern.replace_all(&text, by).into_owned().into();
        }
    }
    masked(&text, labels).map_or_else(|| text.to_string(), |masked| collapsed(&masked))
}

/// Puts the mark of a choice in place of its words, wherever they stand as whole words; the longest words first.
fn masked(text: &str, labels: &Labels) -> Option<String> {
    let lower = text.to_lowercase();
    // Where lower case moves bytes, the text is left in lower case.
    let text = if lower.len() == text.len() { text } else { lower.as_str() };
    let mut places: Vec<(usize, usize, usize)> = Vec::new();
    for (choice, words) in labels.long_texts() {
        for (at, _) in lower.match_indices(words.as_str()) {
            let end = at + words.len();
            let free = places.iter().all(|(from, to, _)| end <= *from || *to <= at);
            if free && text.is_char_boundary(at) && text.is_char_boundary(end) && stands_alone(words, &text[..at], &text[end..]) {
                places.push((at, end, *choice));
            }
        }
    }
    if places.is_empty() {
        return None;
    }
    places.sort_unstable();
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (at, end, choice) in places {
        out.push_str(&text[from..at]);
        out.push(mark(choice));
        from = end;
    }
    out.push_str(&text[from..]);
    Some(out)
}

/// Returns whether words are whole where they stand; a number is not whole beside its sign, its decimals or its unit.
fn stands_alone(words: &str, before: &str, behind: &str) -> bool {
    let (last, next) = (before.chars().next_back(), behind.chars().next());
    let joins = |character: Option<char>| character.is_some_and(|character| character.is_alphanumeric() || character == '_');
    let is_digit = |character: Option<char>| character.is_some_and(|character| character.is_ascii_digit());
    let part_before = is_digit(words.chars().next()) && last.is_some_and(|last| "-−+.,/^".contains(last));
    let part_behind = is_digit(words.chars().next_back())
        && next.is_some_and(|next| "%^/".contains(next) || ".,".contains(next) && is_digit(behind.chars().nth(1)));
    let letters = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
    !(joins(last) && letters(words.chars().next())
        || joins(next) && letters(words.chars().next_back())
        || part_before
        || part_behind)
}

/// Leaves of "B. gold" the letter alone where the words are those of the letter's own choice.
fn collapsed(text: &str) -> String {
    static NAMED: LazyLock<Regex> = LazyLock::new(|| {
        compiled(r#"(^|[^\p{L}\p{N}'])([A-Za-z])(["')\].:]*[\s:=–—-]*["'(\[]*)([\x{E000}-\x{E3E7}])(["')\]]*)"#)
    });
    NAMED
        .replace_all(text, |found: &regex::Captures<'_>| {
            let letter =
                found[2].chars().next().and_then(|letter| (letter.to_ascii_uppercase() as usize).checked_sub('A' as usize));
            let same = letter.is_some() && letter == found[4].chars().next().and_then(marked);
            let kept = if same { found[4].to_owned() } else { found[2].to_owned() + &found[3] + &found[4] + &found[5] };
            format!("{}{kept}", &found[1])
        })
        .into_owned()
}
