//! The answer that a text marks as its last. Takes an answer; gives what stands behind the mark.
//!
//! Marks that can mean nothing else come first: an `answer` field of JSON, `####`, `\boxed{…}`, `<answer>…</answer>`. Then a sentence
//! counts that announces the answer ("the answer is …", "A: …"), in English and in other languages. Of several of one kind the last counts.

use std::{borrow::Cow, sync::LazyLock};

use regex::Regex;

fn compiled(pattern: &str) -> Regex {
    Regex::new(&pattern.replace(r"\b", r"(?-u:\b)")).expect("the pattern is fixed and right")
}

/// Marks by kind, with a text that each contains.
static MARKS: LazyLock<[(&str, Regex); 4]> = LazyLock::new(|| {
    [
        (
            "\"",
            compiled(
                r#"(?i)"(?:final[_ ]?)?(?:answer|result|solution)"\s*:\s*("(?:[^"\\\n]|\\.)*"?|\[[^\]\n]*\]|[^\s,}"][^,}\n]*)"#,
            ),
        ),
        ("####", compiled(r"####\s*([^\n]+)")),
        ("boxed", compiled(r"\\f?boxed\s*(\{)")),
        ("</", compiled(r"(?is)<(?:final_?answer|answer|result)>\s*(.*?)\s*</(?:final_?answer|answer|result)>")),
    ]
});

/// A sentence that announces the answer.
static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"(?im)\banswers?\b[^.\n]{0,40}?(?:\bis\b|\bare\b|\bwould\s+be\b|\bshould\s+be\b|\bmust\s+be\b|:|=)[ \t*_:]*([^\n]+)|\bfinal\s+answer\b[*_: \t]*\n+\s*([^\n]+)|^\s*A:[ \t]*([^\n]+)",
    )
});

/// The same in other languages.
static ABROAD: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"(?i)(?:antwort|ergebnis|réponse|résultat|respuesta|resultado|risposta|resposta|antwoord|ответ|odpověď|odpowiedź|jawaban|svar(?:et)?|答案|答え|정답|答)[^.\n\d]{0,40}?(?:\b(?:ist|lautet|beträgt|est|es|sería|is|to|jest|je)\b|è|é|是|为|は|은|:|：|=|—)[ \t*_]*([^\n]+)",
    )
});

/// Returns what a text marks as its answer, or announces as such.
pub(super) fn find(text: &str) -> Option<Cow<'_, str>> {
    marked(text).or_else(|| announced(text))
}

/// Returns what stands in a mark that can mean nothing else.
pub(super) fn marked(text: &str) -> Option<Cow<'_, str>> {
    MARKS.iter().filter(|(needed, _)| text.contains(needed)).find_map(|(_, mark)| {
        let found = mark.captures_iter(text).filter_map(|found| found.get(1)).last()?;
        Some(match found.as_str() {
            "{" => Cow::Borrowed(braced(&text[found.end()..])),
            value if value.starts_with('"') => unescaped(value),
            value => Cow::Borrowed(value.trim()),
        })
    })
}

/// Returns what a sentence announces as the answer, to the end of its line.
pub(super) fn announced(text: &str) -> Option<Cow<'_, str>> {
    let last = |pattern: &Regex, text| Some(pattern.captures_iter(text).last()?.iter().skip(1).flatten().next()?.as_str());
    let pattern: &Regex = if SENTENCE.is_match(text) { &SENTENCE } else { &ABROAD };
    let mut line = last(pattern, text)?;
    // A line that announces twice corrects itself.
    while let Some(later) = last(pattern, line) {
        line = later;
    }
    Some(Cow::Borrowed(line.trim()))
}

/// Returns what stands before the brace that closes the one just opened.
fn braced(text: &str) -> &str {
    let mut depth = 1;
    for (at, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return text[..at].trim();
        }
    }
    text.lines().next().unwrap_or_default().trim()
}

/// Reads a string of JSON. TeX in it may have been written without doubling its backslashes.
fn unescaped(value: &str) -> Cow<'_, str> {
    let inner = value.trim_matches('"');
    if !inner.contains('\\') {
        return Cow::Borrowed(inner.trim());
    }
    let doubled = inner.contains("\\\\") || inner.contains("\\u") || inner.contains("\\\"");
    let read = if doubled { serde_json::from_str(&format!("\"{inner}\"")).ok() } else { None };
    read.map_or_else(|| Cow::Borrowed(inner.trim()), |text: String| Cow::Owned(text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_answer_is_found_behind_its_mark() {
        for (text, answer) in [
            ("3*60 = 180, of 3 days\n#### 540\n\nQ: What of 7?", "540"),
            ("So $\\boxed{\\frac{3}{4}}$, as 1 = 1.", "\\frac{3}{4}"),
            ("\\boxed{\\$1{,}080} in 3 weeks", "\\$1{,}080"),
            ("```json\n{ \"reasoning\": \"9 of 20\", \"answer\": \"18 dollars for 9\" }\n```", "18 dollars for 9"),
            ("{\"answer\": 18.5}", "18.5"),
            ("{\"answer\": \"\\\\frac{1}{2}\"}", "\\frac{1}{2}"),
            ("{\"answer\": \"\\frac{1}{2}\"}", "\\frac{1}{2}"),
            ("It is.\n<answer>\n42\n</answer>", "42"),
            ("The answer is 42 apples, for 3 children.", "42 apples, for 3 children."),
            ("**Answer:** 2 of 5", "2 of 5"),
            ("The final answer to this is: $20", "$20"),
            ("**Final Answer**\n\n42", "42"),
            ("3 + 4 = 7\nA: 7", "7"),
            ("Die Antwort ist 42.", "42."),
            ("答案是42", "42"),
            ("The answer is 3. No, the answer is 4", "4"),
        ] {
            assert_eq!(find(text).as_deref(), Some(answer), "{text}");
        }
        for text in ["", "42", "I answer nothing", "\\boxed", "####"] {
            assert_eq!(find(text), None, "{text}");
        }
    }
}
