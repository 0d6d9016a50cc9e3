//! Reasoning that a model writes into its reply. Takes the text of a reply; gives the reasoning and what is left without it.
//!
//! Reasoning stands between marks: `<think>…</think>` and tags of the same meaning, `[THINK]…[/THINK]`, `OpenAI`'s channels
//! (`<|channel|>analysis<|message|>…<|end|>`). A block counts where a model writes one: at the start of a line, or behind a whole
//! sentence if it is closed. A closing tag without an opening one closes reasoning whose opening tag was in the prompt. A block that
//! is never closed was cut off, so nothing behind it is an answer. Tags in code, and in the middle of a sentence, are only spoken of.

use std::{borrow::Cow, sync::LazyLock};

use regex::{Match, Regex};

/// Splits a reply into its reasoning and the rest. Without reasoning the rest is the text as it is, otherwise the text of each is
/// trimmed.
pub(crate) fn split(text: &str) -> (String, Cow<'_, str>) {
    if text.contains("<|channel|>")
        && let Some(parts) = channels(text)
    {
        return parts.finish(text);
    }
    if let Some((reasoning, rest)) = unmarked_channels(text) {
        return (reasoning.trim().to_owned(), Cow::Borrowed(rest.trim()));
    }
    if text.contains(['<', '[', '◁']) { tags(text).finish(text) } else { (String::new(), Cow::Borrowed(text)) }
}

#[derive(Default)]
struct Parts {
    found: bool,
    reasoning: Vec<String>,
    rest: String,
}

impl Parts {
    fn reason(&mut self, text: &str) {
        self.found = true;
        if !text.trim().is_empty() {
            self.reasoning.push(text.trim().to_owned());
        }
    }

    fn finish(self, text: &str) -> (String, Cow<'_, str>) {
        let rest = if self.found { Cow::Owned(self.rest.trim().to_owned()) } else { Cow::Borrowed(text) };
        (self.reasoning.join("\n\n"), rest)
    }
}

fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is fixed and right")
}

/// The head of a message in `OpenAI`'s Harmony format: the channel's name, and who or what the message is for.
static HEAD: LazyLock<Regex> = LazyLock::new(|| compiled(r"<\|channel\|>\s*(\w+)[^<>]*(?:<\|constrain\|>[^<>]*)?<\|message\|>"));

/// What ends a message of a channel.
static END: LazyLock<Regex> = LazyLock::new(|| compiled(r"<\|(?:end|return|call|start|channel)\|>"));

/// Returns the parts of a reply in channels: the final one is the rest. `None` if the text only speaks of channels.
fn channels(text: &str) -> Option<Parts> {
    let heads: Vec<_> = HEAD.captures_iter(text).collect();
    let whole = |index: usize| heads.get(index).and_then(|head| head.get(0));
    let before = text[..whole(0)?.start()].trim_end_matches("assistant").trim_end_matches("<|start|>");
    let reasoning_before = before.trim_end().strip_suffix("<|end|>");
    if reasoning_before.is_none() && !begins_line(before) {
        return None;
    }
    let mut parts = Parts { found: true, ..Parts::default() };
    match reasoning_before {
        Some(reasoning) => parts.reason(reasoning),
        None => parts.rest.push_str(before),
    }
    for (index, head) in heads.iter().enumerate() {
        let (from, to) = (whole(index)?.end(), whole(index + 1).map_or(text.len(), |next| next.start()));
        let message = &text[from..to];
        let message = END.find(message).map_or(message, |end| &message[..end.start()]);
        if &head[1] == "final" {
            parts.rest.push_str(message);
        } else {
            parts.reason(message);
        }
    }
    Some(parts)
}

/// Reads channels whose marks a server has dropped: `analysis…assistantfinal…`.
fn unmarked_channels(text: &str) -> Option<(&str, &str)> {
    text.trim_start().strip_prefix("analysis")?.rsplit_once("assistantfinal")
}

/// A tag that opens or closes reasoning.
static TAG: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"(?xi)
        </? (?: think | thinking | thoughts? | reasoning | reason | scratchpad | antthinking | seed:think ) (?: \s[^<>\n]{0,100} )? >
        | \[/?think\] | ◁/?think▷
        | <\|(?:begin|end)_of_thought\|> | <\|(?:start|end)_thinking\|>
        | <\|channel>(?:thought|analysis)? | <channel\|>
        ",
    )
});

fn closes(tag: &str) -> bool {
    let tag = tag.to_lowercase();
    tag.contains('/') || tag.starts_with("<|end_") || tag == "<channel|>"
}

/// Returns what an opening and a closing tag of one kind have in common.
fn kind(tag: &str) -> String {
    let first = tag.split_whitespace().next().unwrap_or_default().to_lowercase();
    let letters: String = first.chars().filter(|character| character.is_alphabetic()).collect();
    if letters.starts_with("channel") {
        return "channel".to_owned();
    }
    ["begin", "start", "end"].iter().find_map(|word| letters.strip_prefix(word)).unwrap_or(&letters).to_owned()
}

fn tags(text: &str) -> Parts {
    let tags: Vec<_> = TAG.find_iter(text).filter(|tag| !within_line_of_code(text, tag)).collect();
    let mut parts = Parts::default();
    let mut from = 0;
    let mut spoken_of: Option<usize> = None;
    for (index, tag) in tags.iter().enumerate() {
        if tag.start() < from {
            continue;
        }
        let before = &text[from..tag.start()];
        if closes(tag.as_str()) {
            let is_second_of_pair = spoken_of.take().is_some_and(|open| !text[open..tag.start()].contains('\n'));
            if is_second_of_pair || is_spoken_of(before, &text[tag.end()..]) || within_fence(before) {
                continue;
            }
            let is_spare = parts.found && text[tag.end()..].trim().is_empty() && !before.trim().is_empty();
            if is_spare {
                parts.rest.push_str(before);
            } else {
                let reasoning = std::mem::take(&mut parts.rest) + before;
                parts.reason(&reasoning);
            }
            from = tag.end();
            continue;
        }
        if within_fence(before) || !(begins_line(before) || ends_sentence(before)) {
            spoken_of = Some(tag.end());
            continue;
        }
        let behind = || tags[index + 1..].iter().filter(|later| closes(later.as_str()));
        let close = behind().find(|later| kind(later.as_str()) == kind(tag.as_str())).or_else(|| behind().next());
        match close {
            Some(close) if ["and", "or"].contains(&text[tag.end()..close.start()].trim()) => spoken_of = Some(tag.end()),
            Some(close) => {
                parts.rest.push_str(before);
                parts.reason(&text[tag.end()..close.start()]);
                from = close.end();
            }
            None if begins_line(before) => {
                parts.rest.push_str(before);
                parts.reason(&text[tag.end()..]);
                from = text.len();
            }
            None => {}
        }
    }
    parts.rest.push_str(&text[from..]);
    parts
}

fn begins_line(before: &str) -> bool {
    before.rsplit('\n').next().unwrap_or_default().trim().is_empty()
}

fn ends_sentence(before: &str) -> bool {
    before.trim_end().ends_with(['.', '!', '?', '。'])
}

/// Returns whether a closing tag stands in the middle of a sentence about it.
fn is_spoken_of(before: &str, behind: &str) -> bool {
    let in_sentence =
        before.ends_with(' ') && before.trim_end().ends_with(|last: char| last.is_alphabetic() || ",;(".contains(last));
    let mut next = behind.chars();
    let goes_on = match next.next() {
        Some(' ') => next.next().is_some_and(char::is_lowercase),
        Some(character) => ".,;:)?!\"'".contains(character),
        None => false,
    };
    (in_sentence || before.ends_with(['"', '\'', '(', '“'])) && goes_on
}

/// Returns whether a tag stands between backticks in its line.
fn within_line_of_code(text: &str, tag: &Match<'_>) -> bool {
    let before = text[..tag.start()].rsplit('\n').next().unwrap_or_default();
    let behind = text[tag.end()..].split('\n').next().unwrap_or_default();
    before.matches('`').count() % 2 == 1 && behind.contains('`')
}

/// Returns whether a fence of code is open at the end of a text.
fn within_fence(before: &str) -> bool {
    before.lines().filter(|line| line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~")).count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, reasoning: &str, rest: &str) {
        let (found, left) = split(text);
        assert_eq!((found.as_str(), left.as_ref()), (reasoning, rest), "{text}");
    }

    #[test]
    fn reasoning_is_cut_off_whatever_marks_it() {
        for (open, close) in [
            ("<think>", "</think>"),
            ("<THINK>", "</Think>"),
            ("<think time=\"3\">", "</think>"),
            ("<thinking>", "</thinking>"),
            ("<reasoning>", "</reasoning>"),
            ("<thought>", "</thought>"),
            ("<thinking>", "</think>"),
            ("<seed:think>", "</seed:think>"),
            ("[THINK]", "[/THINK]"),
            ("◁think▷", "◁/think▷"),
            ("<|begin_of_thought|>", "<|end_of_thought|>"),
            ("<|START_THINKING|>", "<|END_THINKING|>"),
            ("<|channel>thought\n", "<channel|>"),
            ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
            ("<|start|>assistant<|channel|>analysis<|message|>", "<|end|><|channel|>final<|message|>"),
            ("analysis", "assistantfinal"),
        ] {
            check(&format!("{open}It may be A.{close}\n\nThe answer is B."), "It may be A.", "The answer is B.");
            check(&format!("\n{open}\nIt may be A.\n{close}B"), "It may be A.", "B");
            check(&format!("{open}{close}\nB"), "", "B");
        }
    }

    #[test]
    fn what_is_cut_off_leaves_nothing() {
        for open in ["<think>", "<thinking>", "[THINK]", "<reasoning>", "<|channel|>analysis<|message|>"] {
            check(&format!("{open}It may be A. Or B"), "It may be A. Or B", "");
            check(&format!("  {open}\nIt may be A."), "It may be A.", "");
        }
        check("<think>It may be A.</think>", "It may be A.", "");
        check("B, I guess.\n<think>Or A", "Or A", "B, I guess.");
    }

    #[test]
    fn a_closing_tag_ends_reasoning_that_the_prompt_opened() {
        check("It may be A.\n</think>\n\nB", "It may be A.", "B");
        check("It may be A.</think>B", "It may be A.", "B");
        check("It may be A. </think> B", "It may be A.", "B");
        check("It is 42 </think> 43", "It is 42", "43");
        check("It may be A.[/THINK]B", "It may be A.", "B");
        check("It may be A.<|end|><|start|>assistant<|channel|>final<|message|>B<|return|>", "It may be A.", "B");
        check("<think>I write <think> first.</think> Hm.</think>\nB", "I write <think> first.\n\nHm.", "B");
        check("<think>A?</think>\nB</think>", "A?", "B");
        check("<think>The tag `</think>` ends it.</think>B", "The tag `</think>` ends it.", "B");
    }

    #[test]
    fn several_blocks_are_cut_off() {
        check("<think>one</think>B<|x|>\n<think>two</think>", "one\n\ntwo", "B<|x|>");
        check("Let me see. <think>one</think> B", "one", "Let me see.  B");
        check(
            "<|channel|>analysis<|message|>one<|end|><|start|>assistant<|channel|>commentary to=f<|constrain|>json<|message|>two<|call|>\
             <|start|>assistant<|channel|>final <|constrain|>json<|message|>{\"a\": 1}<|return|>",
            "one\n\ntwo",
            "{\"a\": 1}",
        );
    }

    #[test]
    fn a_text_that_speaks_of_tags_is_left_as_it_is() {
        for text in [
            "",
            " B ",
            "The tag <think> opens reasoning, and the tag </think> closes it.",
            "Write `<think>` first.",
            "Models write <think>…</think> before an answer.",
            "`<think>` is the tag",
            "<think> and </think> are tags",
            "```xml\n<think>x</think>\n```",
            "Use \"<think>\" and \"</think>\".",
            "In `<|channel|>analysis<|message|>` it thinks.",
            "I think <b>B</b>",
            "analysis of B",
            "[thinking] B",
            "3 < 4 and [1, 2]",
        ] {
            let (reasoning, rest) = split(text);
            assert!(reasoning.is_empty() && matches!(rest, Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn no_text_is_lost_or_panics() {
        let pieces =
            ["<think>", "</think>", "A", " ", "\n", "`", "```", "<|channel|>final<|message|>", "<|end|>", "é", ".", "[THINK]"];
        let mut state = 7_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..8 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text.push_str(pieces[(state >> 33) as usize % pieces.len()]);
            }
            let (reasoning, rest) = split(&text);
            let count = |text: &str| text.matches(['A', 'é']).count();
            assert!(count(&reasoning) + count(&rest) <= count(&text), "{text}");
        }
    }
}
