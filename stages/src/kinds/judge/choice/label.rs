//! Names of choices at a place in a text. Takes plain text; gives the choices that are named there, alone or in a list.
//!
//! A choice is named by its letter, by its number where the choices are no numbers themselves, or by its words.

use std::sync::LazyLock;

use regex::Regex;

use super::{super::exact::folded, mark::marked};

/// Which choices a text names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    One(usize),
    /// Several that are joined, of which none is asserted alone.
    Several(Vec<usize>),
}

pub(super) fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is fixed and right")
}

/// Compiles a pattern whose `\b` are those of ASCII words, with which it is fast on any text.
pub(super) fn quick(pattern: &str) -> Regex {
    compiled(&pattern.replace(r"\b", r"(?-u:\b)"))
}

/// Words that make a statement, and do not stand for a choice in the middle of a sentence.
const GRAMMAR: [&str; 27] = [
    "true",
    "false",
    "correct",
    "incorrect",
    "right",
    "wrong",
    "yes",
    "no",
    "not",
    "and",
    "or",
    "both",
    "neither",
    "none",
    "the",
    "is",
    "are",
    "it",
    "an",
    "answer",
    "option",
    "choice",
    "because",
    "all",
    "one",
    "best",
    "be",
];

/// The names of a question's choices.
pub(super) struct Labels {
    count: usize,
    /// Whether a number can name a choice.
    numbered: bool,
    /// Texts that are looked for everywhere, the longest first.
    long: Vec<(usize, String)>,
    /// Texts that count only where an answer is announced.
    short: Vec<(usize, String)>,
}

/// The number of choices where a question does not list them.
const UNKNOWN: usize = 26;

/// Words behind a letter by which a sentence goes on about it.
static GOES_ON: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"^\s+(?i:because|since|as|and|or|not|but|for|is|are|was|would|must|seems|due|given|with|und|oder|nicht|weil|da|denn|ist|et|ou|car|est|parce|puisque|y|es|porque|pues|è|perché|é|pois|и|или|так|потому|поскольку|rather|instead|over)\b",
    )
});

impl Labels {
    pub(super) fn new(choices: &[String]) -> Self {
        let texts =
            choices.iter().enumerate().map(|(index, choice)| (index, folded(choice))).filter(|(_, text)| !text.is_empty());
        let is_short = |text: &str| text.chars().count() < 2 || GRAMMAR.contains(&text);
        let (short, mut long): (Vec<_>, Vec<_>) = texts.partition(|(_, text)| is_short(text));
        long.sort_by_key(|(_, text)| std::cmp::Reverse(text.len()));
        let numbered = !choices.iter().any(|choice| choice.trim().chars().all(|character| !character.is_alphabetic()));
        let count = if choices.is_empty() { UNKNOWN } else { choices.len() };
        Self { count, numbered: numbered && !choices.is_empty(), long, short }
    }

    pub(super) fn long_texts(&self) -> &[(usize, String)] {
        &self.long
    }

    /// Returns the choice that a gold answer names: by its letter, by its words, or by both.
    pub(super) fn named(&self, gold: &str) -> Option<usize> {
        let gold = folded(gold);
        let letter = match gold.as_bytes() {
            [letter @ b'a'..=b'z'] => Some(usize::from(letter - b'a')).filter(|choice| *choice < self.count),
            _ => None,
        };
        let by_words = || self.long.iter().chain(&self.short).find(|(_, words)| *words == gold).map(|(choice, _)| *choice);
        let by_both = || {
            let (choice, behind) = self.at(&gold, true)?;
            let words = behind.trim_start_matches(|character: char| !character.is_alphanumeric());
            let own = self.long.iter().chain(&self.short).any(|(other, own)| *other == choice && own == words);
            (own || words.is_empty()).then_some(choice)
        };
        letter.or_else(by_words).or_else(by_both)
    }

    /// Returns the choice that is named where a text begins, and what stands behind its name. `firm` says that an answer is announced
    /// just before, so that "A" is no article.
    pub(super) fn at<'a>(&self, text: &'a str, firm: bool) -> Option<(usize, &'a str)> {
        static BEFORE: LazyLock<Regex> = LazyLock::new(|| {
            compiled(
                r#"^[ \t"'(\[<*#>✅☑✔→•-]*(?:(?i:options?|choices?|letters?|answers?|number|no\.|variante?|opción|opção|opzione|вариант|antwort|选项)\s*[:"'(\[]*)?"#,
            )
        });
        let start = BEFORE.find(text).map_or(0, |found| found.end());
        let bracketed = text[..start].ends_with(['(', '[', '"']);
        let named = start > 0 && text[..start].trim_end_matches([' ', '(', '[', '"', '\'', ':']).ends_with(char::is_alphabetic);
        let rest = &text[start..];
        let first = rest.chars().next()?;
        let behind = &rest[first.len_utf8()..];
        if let Some(index) = marked(first) {
            return Some((index, behind));
        }
        if first.is_ascii_alphabetic() {
            let index = first.to_ascii_uppercase() as usize - 'A' as usize;
            if index < self.count && is_letter(first, behind, firm || named, bracketed) {
                return Some((index, behind));
            }
        }
        let digits = rest.len() - rest.trim_start_matches(|character: char| character.is_ascii_digit()).len();
        if self.numbered && (1..=2).contains(&digits) {
            let behind = &rest[digits..];
            let number: usize = rest[..digits].parse().ok()?;
            let fraction = behind.starts_with(['.', ',']) && behind[1..].starts_with(|next: char| next.is_ascii_digit());
            let amount = behind.starts_with(|next: char| next.is_alphanumeric() || "%^/+*=°$€-".contains(next));
            let goes_on =
                behind.starts_with(' ') && behind.trim_start().starts_with(char::is_alphanumeric) && !GOES_ON.is_match(behind);
            let is_label = (firm || named || bracketed) && !fraction && !amount && !goes_on;
            return (is_label && (1..=self.count).contains(&number)).then(|| (number - 1, behind));
        }
        if !firm {
            return None;
        }
        self.short.iter().find_map(|(index, words)| {
            let said = rest.get(..words.len()).filter(|said| said.to_lowercase() == *words)?;
            let behind = &rest[said.len()..];
            let goes_on = behind.starts_with(|next: char| next.is_alphanumeric() || "%^/".contains(next));
            let decimals = behind.starts_with(['.', ',']) && behind[1..].starts_with(|next: char| next.is_ascii_digit());
            (!goes_on && !decimals).then_some((*index, behind))
        })
    }

    /// Returns the choices that are named where a text begins, with what stands behind them.
    pub(super) fn list<'a>(&self, text: &'a str, firm: bool) -> Option<(Said, &'a str)> {
        static JOIN: LazyLock<Regex> = LazyLock::new(|| {
            compiled(
                r#"^["')\]]*\s*(?:(?i:(,\s*|;\s*)?(?:\b(?:and|or|und|oder|et|ou|или|as well as|(?-i:y|o|e|и))\b|&|/|\+|和|或|及|、)\s*(?:also\s+|possibly\s+|either\s+)?)|[,;]\s*)"#,
            )
        });
        let (first, mut rest) = self.at(text, firm)?;
        let mut all = vec![first];
        while let Some(join) = JOIN.find(rest) {
            let Some((next, behind)) = self.at(&rest[join.end()..], false) else { break };
            let only_comma = join
                .as_str()
                .trim_matches(|character: char| !character.is_alphanumeric() && !"&/+、".contains(character))
                .is_empty();
            let words_follow = behind.trim_start_matches([')', ']', '"', '\'']).starts_with(' ') && !JOIN.is_match(behind);
            if words_follow && (only_comma || denied(behind)) {
                break;
            }
            if !all.contains(&next) {
                all.push(next);
            }
            rest = behind;
        }
        let said = if all.len() == 1 { Said::One(first) } else { Said::Several(all) };
        Some((said, rest))
    }
}

/// Returns whether a sentence goes on by saying that what stands before it is wrong.
pub(super) fn denied(behind: &str) -> bool {
    static DENIED: LazyLock<Regex> = LazyLock::new(|| {
        compiled(
            r#"^["')\].:,]*\s*(?i:(?:-|–|—|,|\()?\s*(?:(?:which|that)\s+)?(?:is|are|was|were|would\s+be|can\s+be|could\s+be|seems?|has\s+been|ist|sind|est|es|è)?\s*(?:also\s+|clearly\s+|both\s+|all\s+|definitely\s+|therefore\s+)*(?:not\b|n't|cannot\b|can't\b|isn't\b|aren't\b|doesn't\b|do\s+not\b|don't\b|does\s+not\b|incorrect|wrong|false\b|eliminated|ruled\s+out|excluded|out\b|falsch|nicht|faux|fausse|pas\b|incorrect[ao]|fals[ao]|неверн|невер|不正确|错误|❌|✗|✘|x\b))"#,
        )
    });
    // "B, not C" denies what follows, and not what stands before.
    static CONTRAST: LazyLock<Regex> =
        LazyLock::new(|| compiled(r#"^["')\]]*\s*[,.;(–—-]\s*(?i:and\s+|but\s+)?(?i:not|nicht|pas|non|no)\b"#));
    DENIED.is_match(behind) && !CONTRAST.is_match(behind)
}

/// Returns whether a letter names a choice, and is no word and no part of one.
fn is_letter(letter: char, behind: &str, firm: bool, bracketed: bool) -> bool {
    let mut next = behind.chars();
    let (first, second) = (next.next(), next.next());
    match first {
        None | Some('\n' | ')' | ']' | '"' | ':' | ';' | ',' | '!' | '>' | '?' | '/' | '&' | '=' | '|') => true,
        Some('\'') => bracketed || !second.is_some_and(char::is_alphabetic),
        // "A.I." and "U.S." are no letters; "B.Gold" is one.
        Some('.') => !(second.is_some_and(char::is_alphabetic) && behind.chars().nth(2).is_none_or(|third| third == '.')),
        Some('-' | '–' | '—') => !second.is_some_and(char::is_alphanumeric),
        Some(' ' | '\t') => {
            let word = behind.trim_start_matches([' ', '\t']);
            if !word.starts_with(char::is_alphabetic) {
                return letter.is_ascii_uppercase() || firm || bracketed;
            }
            let goes_on = GOES_ON.is_match(behind);
            match letter {
                'I' => goes_on && !behind.trim_start().starts_with("was") && !behind.trim_start().starts_with("would"),
                'A' => firm || goes_on,
                'B'..='Z' => true,
                _ => firm && goes_on,
            }
        }
        // "答案是B这是" has no space behind the letter.
        Some(other) => {
            other.is_alphabetic() && !other.is_ascii() && !('\u{c0}'..='\u{24f}').contains(&other) || marked(other).is_some()
        }
    }
}
