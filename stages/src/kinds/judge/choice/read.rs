//! The choice that an answer names. Takes an answer and the choices; gives the choice, or several, or none.
//!
//! In this order: a mark that can mean nothing else (`\boxed{B}`, `"answer": "B"`, `<answer>B</answer>`, `#### B`), a last line or a
//! first line that only names a choice, an announced answer, an opening such as `B) …`, a choice that is called right or taken, the
//! words of one choice, a line with a choice alone, and the one letter that the last line does not deny.

use std::sync::LazyLock;

use regex::Regex;

use super::{
    label::{Labels, Said, compiled, denied},
    mark::marked,
    plain::{plain, unified},
    statement::{Announced, announced, asserted, bare, tail},
};

/// Marks of an answer that can mean nothing else.
static MARKS: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r#"(?xis)
          \\(?:boxed|fbox)\s*\{ ( (?: [^{}] | \{[^{}]*\} )* ) \}
        | <(?:final_?answer|answer|choice|option|letter|ans|final)> \s* ( .*? ) \s* </
        | ["'] (?:final[_\ ]?)? (?:correct[_\ ]?|selected[_\ ]?)? (?:answer|choice|option|letter|prediction|selection) (?:[_\ ]?(?:letter|choice|option|key))? ["']
          \s*:\s* ( \[[^\]]*\] | "(?:[^"\\]|\\.)*" | '[^'\n]*' | [^\s,}]+ )
        | \#{4} [\ \t]* ( [^\n]+ )
        | \[\[ ( [^\[\]]{1,200} ) \]\]
        "#,
    )
});

/// What an answer names, and whether it says so as its answer or only speaks of it.
pub(super) struct Read {
    pub said: Said,
    pub firm: bool,
}

/// Returns what an answer names.
pub(super) fn read(text: &str, choices: &[String]) -> Option<Read> {
    let labels = Labels::new(choices);
    let text = unified(text);
    let firm = |said| Read { said, firm: true };
    if let Some(said) = in_mark(&text, &labels) {
        return Some(firm(said));
    }
    // Lines first: most answers are decided by their last one, and it is short.
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let (first, last) = (plain(lines.first()?, &labels), plain(lines.last()?, &labels));
    let discusses = || headings(&lines, &labels) > 1;
    let in_list =
        |line: &str, neighbour: Option<&&str>| neighbour.is_some_and(|neighbour| headings(&[line, neighbour], &labels) > 1);
    let last_alone = || alone(&last, &labels).filter(|_| !in_list(&last, lines.iter().rev().nth(1)));
    if let Some(said) = contradiction(&lines).or_else(last_alone) {
        return Some(firm(said));
    }
    if let Some(said) = announced(sentence_end(&last), &labels).filter(|_| lines.len() > 1) {
        return said.choice().map(firm);
    }
    if let Some(said) = alone(&first, &labels).filter(|_| !in_list(&first, lines.get(1))) {
        return Some(firm(said));
    }
    let text = plain(&text, &labels);
    if let Some(said) = announced(&text, &labels) {
        return said.choice().map(firm);
    }
    let asserted = opening(&first, &labels).filter(|_| !discusses()).or_else(|| asserted(&text, &labels));
    let spoken_of = || {
        words(&text, if discusses() { "" } else { &last })
            .or_else(|| lone_line(&text, &labels))
            .or_else(|| mentioned(&last, &labels))
    };
    asserted.map(firm).or_else(|| spoken_of().map(|said| Read { said, firm: false }))
}

/// Reads the last mark of an answer that names a choice.
fn in_mark(text: &str, labels: &Labels) -> Option<Said> {
    let has_key = text.contains("\":") || text.contains("':") || text.contains("\" :");
    if !has_key && !["boxed", "fbox", "</", "####", "[["].iter().any(|mark| text.contains(mark)) {
        return None;
    }
    let values = MARKS.captures_iter(text).filter_map(|found| value(found.iter().skip(1).flatten().next()?.as_str(), labels));
    values.last()
}

/// Returns the end of a line: its last sentences of about 120 bytes, or all of it.
fn sentence_end(line: &str) -> &str {
    let end = tail(line, 120);
    if end.len() == line.len() { end } else { end.split_once(". ").map_or(end, |(_, behind)| behind) }
}

/// Reads an answer that ends in lines which announce different choices and give no reason between them. Unless it ends as it began,
/// nothing tells which is meant.
fn contradiction(lines: &[&str]) -> Option<Said> {
    let labels = Labels::new(&[]);
    let mut named: Vec<usize> = Vec::new();
    for line in lines.iter().rev() {
        match bare(line, &labels) {
            Some(Said::One(choice)) => named.push(choice),
            _ => break,
        }
    }
    let (last, first) = (*named.first()?, *named.last()?);
    (last != first).then(|| {
        named.sort_unstable();
        named.dedup();
        Said::Several(named)
    })
}

/// Reads what a mark of an answer holds: a name, an opening, words or a whole sentence.
fn value(value: &str, labels: &Labels) -> Option<Said> {
    let value = plain(value, labels);
    let value =
        value.trim_matches(|character: char| character.is_whitespace() || "\"'[]".contains(character)).replace("\", \"", ", ");
    let value = value.replace("\",\"", ", ").replace("', '", ", ");
    alone(&value, labels)
        .or_else(|| announced(&value, labels).and_then(Announced::choice))
        .or_else(|| opening(&value, labels))
        .or_else(|| asserted(&value, labels))
        .or_else(|| words(&value, &value))
}

/// Reads a line that names choices and says nothing else.
fn alone(line: &str, labels: &Labels) -> Option<Said> {
    // "A: B" is the answer to a question, and not the first choice.
    if let Some(said) =
        line.strip_prefix("A:").filter(|answer| !answer.trim().is_empty()).and_then(|answer| alone(answer, labels))
    {
        return Some(said);
    }
    let line = line.trim_start_matches(|character: char| {
        !character.is_alphanumeric() && marked(character).is_none() && !"([-".contains(character)
    });
    let (said, rest) = labels.list(line, true)?;
    let left = |character: char| !character.is_alphanumeric() && !"%^+?".contains(character);
    rest.chars().all(left).then_some(said)
}

/// Reads a name with which an answer opens: `B) …`, `B. …`, `B: …`, `B – …`, `B, because …`.
fn opening(line: &str, labels: &Labels) -> Option<Said> {
    static OPENS: LazyLock<Regex> = LazyLock::new(|| {
        compiled(
            r#"^(?:["']?[)\].:>]+(?:["')\]]*)(?:\s|$|[^\w])|\s*[-–—=(|](?:\s|\w)|\s*$|["')\]]?[,;]?\s+(?i:because|since|as|due|weil|denn|da|car|parce|puisque|porque|pues|perché|pois|потому|так как|поскольку)\b|["')\]]?[,;]\s)"#,
        )
    });
    static PRONOUN: LazyLock<Regex> = LazyLock::new(|| compiled(r"^I,\s+[^bsad]"));
    if PRONOUN.is_match(line) {
        return None;
    }
    let (said, rest) = labels
        .list(line, false)
        .or_else(|| labels.list(line, true).filter(|(_, rest)| rest.starts_with([')', '.', ':', ']'])))?;
    let by_words = line.trim_start_matches(|character: char| !character.is_alphanumeric() && marked(character).is_none());
    let by_words = by_words.starts_with(|first| marked(first).is_some());
    let opens =
        OPENS.is_match(rest) && (!by_words || rest.trim_start().starts_with([',', '.', '-', '–', '—']) || rest.trim().is_empty());
    (opens && !denied(rest)).then_some(said)
}

/// Counts the choices with which lines begin, as in a discussion of one after the other.
fn headings(lines: &[&str], labels: &Labels) -> usize {
    let mut named: Vec<_> = lines
        .iter()
        .filter_map(|line| {
            let line = plain(line.trim_start_matches(['-', '*', '•', ' ', '#']), labels);
            let (choice, rest) = labels.at(&line, true)?;
            (rest.starts_with([')', '.', ':', ']']) || line.starts_with(|first| marked(first).is_some())).then_some(choice)
        })
        .collect();
    named.sort_unstable();
    named.dedup();
    named.len()
}

/// Reads the one choice whose words a text says and does not deny: the whole text, or its last line.
fn words(text: &str, last: &str) -> Option<Said> {
    let one = |text: &str| {
        let mut named: Vec<_> = text
            .char_indices()
            .filter_map(|(at, character)| {
                let choice = marked(character)?;
                (!is_denied(&text[..at], &text[at + character.len_utf8()..])).then_some(choice)
            })
            .collect();
        named.sort_unstable();
        named.dedup();
        (named.len() == 1).then(|| Said::One(named[0]))
    };
    one(text).or_else(|| one(last))
}

/// Returns whether a sentence denies the choice that it names between two texts, or names it only for comparison.
fn is_denied(before: &str, behind: &str) -> bool {
    static BEFORE: LazyLock<Regex> = LazyLock::new(|| {
        compiled(
            r#"(?i)(?:\b(?:not|never|nor|neither|than|instead\s+of|rather\s+than|unlike|except|without|exclud\w*|eliminat\w*|rul\w*\s+out|reject\w*|over|versus|vs\.?|other\s+options?|others|nicht|kein\w*|pas|non|не)|n't)[\s,:]+(?:(?:the|option|choice|answer|letter|be|is|an?|in|for|of|both|either|le|la|der|die|das)\s+)*["'(\[]*$"#,
        )
    });
    BEFORE.is_match(tail(before, 60)) || denied(behind)
}

/// Reads the one line that holds a choice alone, between other lines.
fn lone_line(text: &str, labels: &Labels) -> Option<Said> {
    let mut found: Vec<_> = text.lines().filter_map(|line| alone(line, labels)).collect();
    found.dedup();
    (found.len() == 1).then(|| found.remove(0))
}

/// Reads the one letter that a line names and does not deny. A name in brackets counts before one without.
fn mentioned(line: &str, labels: &Labels) -> Option<Said> {
    static ASIDE: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?i)\b(?:because|since|whereas|while|although|as\s+[A-Z]\b)"));
    let line = ASIDE.find(line).filter(|aside| aside.start() > 0).map_or(line, |aside| &line[..aside.start()]);
    let mut named: Vec<(usize, bool)> = Vec::new();
    let mut previous = ' ';
    for (at, character) in line.char_indices() {
        let begins = !previous.is_alphanumeric() && previous != '\'' && previous != '-';
        let bracketed = previous == '(' || previous == '[';
        previous = character;
        if !begins || !(character.is_ascii_uppercase() || bracketed && character.is_ascii_lowercase()) {
            continue;
        }
        let text = &line[at - usize::from(bracketed)..];
        let Some((choice, rest)) = labels.at(text, false) else { continue };
        if !rest.starts_with('?') && (!bracketed || rest.starts_with([')', ']'])) && !is_denied(&line[..at], rest) {
            named.push((choice, bracketed));
        }
    }
    if named.iter().any(|(_, bracketed)| *bracketed) {
        named.retain(|(_, bracketed)| *bracketed);
    }
    let mut choices: Vec<_> = named.into_iter().map(|(choice, _)| choice).collect();
    choices.sort_unstable();
    choices.dedup();
    match choices[..] {
        [] => None,
        [one] => Some(Said::One(one)),
        _ => Some(Said::Several(choices)),
    }
}
