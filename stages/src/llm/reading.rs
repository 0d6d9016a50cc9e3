//! The reading of replies that is the same for every provider. Takes a reply as the provider's protocol has it; gives it as it counts.
//!
//! Replies are cached as their protocol was read when they were bought. So whoever uses a cached reply reads it again here, and a reply
//! gives the same rows whether it was bought before or after this code learnt something. Nothing is bought again for that.

use std::borrow::Cow;

use super::{finish, reasoning, request::Reply};
use crate::rows::Outcome;

/// Returns the reply as it counts: reasoning that stands in the text is taken out of it, and the reason why the model stopped is read by
/// [`finish`]. A reply that was read before stays as it is.
pub(crate) fn read(reply: &Reply) -> Cow<'_, Reply> {
    let was = reply.text.as_deref().unwrap_or_default();
    let (found, rest) = reasoning::split(was);
    let is_split = !found.is_empty() || rest.len() < was.len();
    let outcome = match reply.outcome {
        Outcome::Ok | Outcome::Empty if is_split && is_open(was) => Outcome::Truncated,
        // A recorded answer may have a verdict and no text.
        Outcome::Ok if reply.text.is_some() => finish::outcome(&reply.finish, &rest),
        other => other,
    };
    if !is_split && outcome == reply.outcome {
        return Cow::Borrowed(reply);
    }
    let parts = [reply.reasoning.as_str(), &found];
    let reasoning = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n");
    let text = Some(rest.into_owned()).filter(|text| !text.is_empty());
    Cow::Owned(Reply { text, outcome, reasoning, ..reply.clone() })
}

/// Returns a recorded reply as it counts. Where its reasoning never ends, it stays as it was recorded: asking again is not possible, and a
/// judge finds no answer in it.
pub(crate) fn recorded(reply: &Reply) -> Cow<'_, Reply> {
    if reply.text.as_deref().is_some_and(is_open) { Cow::Borrowed(reply) } else { read(reply) }
}

/// Returns whether a text ends inside its reasoning: whether what would stand next would still be reasoning.
fn is_open(text: &str) -> bool {
    const NEXT: &str = "next-7c1f";
    reasoning::split(&format!("{text}\n{NEXT}")).0.ends_with(NEXT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Usage;

    fn reply(text: &str, outcome: Outcome, finish: &str) -> Reply {
        let usage = Usage { output: 9, ..Usage::default() };
        Reply { text: Some(text.to_owned()), finish: finish.to_owned(), usage, ..Reply::without_text(outcome, "m") }
    }

    #[test]
    fn reasoning_is_kept_beside_the_answer_and_an_open_one_is_cut_off() {
        for (text, finish, left, outcome, reasoning) in [
            ("B", "stop", Some("B"), Outcome::Ok, ""),
            ("<think>A?</think>\n\nB", "stop", Some("B"), Outcome::Ok, "A?"),
            ("A?</think>B", "stop", Some("B"), Outcome::Ok, "A?"),
            ("<think></think>\nB", "stop", Some("B"), Outcome::Ok, ""),
            ("<think>A?</think>", "stop", None, Outcome::Empty, "A?"),
            // Stopped by a stop sequence, and by a server that does not say so.
            ("<think>A? or", "stop", None, Outcome::Truncated, "A? or"),
            ("<think>A? or", "", None, Outcome::Truncated, "A? or"),
            ("[THINK]A? or", "stop", None, Outcome::Truncated, "A? or"),
            ("<|channel|>analysis<|message|>A? or", "stop", None, Outcome::Truncated, "A? or"),
            (
                "<|channel|>analysis<|message|>A?<|end|><|start|>assistant<|channel|>final<|message|>B",
                "stop",
                Some("B"),
                Outcome::Ok,
                "A?",
            ),
            ("B", "MAX_TOKENS", Some("B"), Outcome::Truncated, ""),
            ("B", "error", Some("B"), Outcome::Error, ""),
        ] {
            let given = reply(text, Outcome::Ok, finish);
            let once = read(&given).into_owned();
            assert_eq!((once.text.as_deref(), once.outcome, once.reasoning.as_str()), (left, outcome, reasoning), "{text}");
            assert_eq!(once.usage, given.usage, "{text}");
            assert_eq!(*read(&once), once, "{text}: twice is once");
        }
        let endless = reply("<think>A? or", Outcome::Ok, "");
        assert_eq!(*recorded(&endless), endless);
        assert_eq!(recorded(&reply("<think>A?</think>B", Outcome::Ok, "")).text.as_deref(), Some("B"));
        // What a protocol has decided, a reason does not undo.
        assert_eq!(read(&reply("B", Outcome::Empty, "OTHER")).outcome, Outcome::Empty);
        assert_eq!(read(&reply("I cannot", Outcome::Refused, "stop")).outcome, Outcome::Refused);
        let cut = read(&reply("<think>A?</think>B and", Outcome::Truncated, "length")).into_owned();
        assert_eq!((cut.text.as_deref(), cut.outcome), (Some("B and"), Outcome::Truncated));
    }
}
