//! The tokens of a call. Takes what a provider says of them and the text that came; gives the usage, with estimates for what it does not
//! say. A reply of which nothing is said is never free.

use serde_json::Value;

use super::request::estimated_tokens;
use crate::rows::{Message, Usage};

/// What a provider says of a call's tokens. `None`: it does not say.
#[derive(Clone, Copy, Default)]
pub(crate) struct Said {
    /// Tokens of the prompt, with those that are cached.
    pub input: Option<u64>,
    /// Tokens that were generated, with those of reasoning where `thinking` is a part of them.
    pub output: Option<u64>,
    /// Tokens of hidden reasoning.
    pub thinking: Option<u64>,
    /// Whether the protocol counts reasoning beside `output` and not in it.
    pub thinking_beside: bool,
    /// Tokens of prompt and reply together.
    pub total: Option<u64>,
    pub cached: Option<u64>,
    pub cache_write: Option<u64>,
}

/// Returns a count of tokens in a reply, whichever way a server writes numbers. A count that is no number is not said.
pub(crate) fn count(usage: &Value, path: &str) -> Option<u64> {
    let value = usage.pointer(path)?;
    let whole = |number: f64| (number.is_finite() && number >= 0.0).then_some(number as u64);
    value.as_u64().or_else(|| value.as_f64().and_then(whole)).or_else(|| value.as_str()?.trim().parse().ok())
}

/// Returns the usage of a call with this prompt. `text` and `reasoning` are the lengths in bytes of what came back.
pub(crate) fn usage(said: &Said, prompt: &[Message], text: usize, reasoning: usize) -> Usage {
    // No prompt has no tokens, and no text has none: a zero is a count that the server does not have.
    let input = said.input.filter(|tokens| *tokens > 0);
    let nothing_came = text + reasoning == 0 && (said.thinking.is_some() || said.total.is_some());
    let output = said.output.or(nothing_came.then_some(0)).filter(|tokens| *tokens > 0 || text + reasoning == 0);
    let estimated = |bytes: usize| bytes.div_ceil(BYTES_A_TOKEN) as u64;
    let (generated, thinking) = match (output, said.total.zip(input)) {
        (Some(output), whole) => counted(said, output, whole),
        // The sum is known, and one of its parts.
        (None, Some((total, input))) if total > input => {
            (total - input, said.thinking.unwrap_or_else(|| estimated(reasoning)).min(total - input))
        }
        (None, _) => {
            let thinking = said.thinking.unwrap_or_else(|| estimated(reasoning));
            (thinking.saturating_add(estimated(text)), thinking)
        }
    };
    let input_tokens = input.unwrap_or_else(|| estimated_tokens(prompt));
    Usage {
        input: input_tokens,
        output: generated.saturating_sub(thinking),
        thinking,
        cached: said.cached.unwrap_or(0).min(input_tokens),
        cache_write: said.cache_write.unwrap_or(0).min(input_tokens),
        estimated: input.is_none() || output.is_none(),
    }
}

/// Bytes a token, as in English.
const BYTES_A_TOKEN: usize = 4;

/// Returns the number of generated tokens and how many of them are hidden reasoning. Some servers count reasoning in `output`, some beside
/// it, and some only in the sum.
fn counted(said: &Said, output: u64, whole: Option<(u64, u64)>) -> (u64, u64) {
    let thinking = said.thinking.unwrap_or(0);
    // A part cannot be more than the whole, so what is more than `output` is not in it.
    let beside = said.thinking_beside || thinking > output;
    let parts = if beside { output.saturating_add(thinking) } else { output };
    let generated = whole.map_or(parts, |(total, input)| parts.max(total.saturating_sub(input)));
    (generated, thinking.max(generated - output))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn prompt() -> Vec<Message> {
        vec![Message { role: "user".to_owned(), content: "x".repeat(40) }]
    }

    fn used(said: &Said, text: usize, reasoning: usize) -> (u64, u64, u64, bool) {
        let usage = usage(said, &prompt(), text, reasoning);
        (usage.input, usage.output, usage.thinking, usage.estimated)
    }

    #[test]
    fn reasoning_is_counted_wherever_it_stands() {
        let said = Said { input: Some(20), output: Some(300), ..Said::default() };
        assert_eq!(used(&said, 9, 0), (20, 300, 0, false));
        let within = Said { thinking: Some(100), total: Some(320), ..said };
        assert_eq!(used(&within, 9, 0), (20, 200, 100, false));
        let in_the_sum = Said { total: Some(1020), ..said };
        assert_eq!(used(&in_the_sum, 9, 0), (20, 300, 700, false));
        let beside = Said { thinking: Some(700), total: Some(1020), ..said };
        assert_eq!(used(&beside, 9, 0), (20, 300, 700, false));
        let more_than_all = Said { thinking: Some(700), ..said };
        assert_eq!(used(&more_than_all, 9, 0), (20, 300, 700, false));
        let by_protocol = Said { thinking: Some(30), thinking_beside: true, ..said };
        assert_eq!(used(&by_protocol, 9, 0), (20, 300, 30, false));
    }

    #[test]
    fn what_is_not_said_is_estimated_and_marked() {
        assert_eq!(used(&Said::default(), 8, 400), (10, 2, 100, true));
        let zeros = Said { input: Some(0), output: Some(0), total: Some(0), ..Said::default() };
        assert_eq!(used(&zeros, 8, 0), (10, 2, 0, true));
        let sum_only = Said { input: Some(20), total: Some(120), ..Said::default() };
        assert_eq!(used(&sum_only, 8, 0), (20, 100, 0, true));
        let nothing_came = Said { input: Some(20), output: Some(0), ..Said::default() };
        assert_eq!(used(&nothing_came, 0, 0), (20, 0, 0, false));
        let all_thought =
            Said { input: Some(20), thinking: Some(99), thinking_beside: true, total: Some(119), ..Said::default() };
        assert_eq!(used(&all_thought, 0, 0), (20, 0, 99, false));
        let half = Said { output: Some(5), ..Said::default() };
        assert_eq!(used(&half, 8, 0), (10, 5, 0, true));
    }

    #[test]
    fn no_count_makes_a_sum_overflow() {
        let most = Some(u64::MAX);
        for thinking_beside in [false, true] {
            for total in [None, Some(0), most] {
                let said =
                    Said { input: most, output: most, thinking: most, total, cached: most, cache_write: most, thinking_beside };
                assert_eq!(usage(&said, &prompt(), 1, 1).total(), u64::MAX);
            }
        }
    }

    #[test]
    fn counts_are_read_in_every_spelling() {
        let usage = json!({ "a": 7, "b": 7.0, "c": "7", "d": -7, "e": null, "f": { "g": 7 }, "h": "many" });
        let read = |path| count(&usage, path);
        assert_eq!(["/a", "/b", "/c", "/f/g"].map(read), [Some(7); 4]);
        assert_eq!(["/d", "/e", "/f", "/h", "/i"].map(read), [None; 5]);
    }
}
