//! Why a model stopped. Takes a provider's word for it; gives what that means for the reply.
//!
//! One table for all protocols, because gateways pass on the words of the vendors behind them. Words are compared in lower case.
//!
//! | reason | what the reply is |
//! |---|---|
//! | `stop`, `end_turn`, `stop_sequence`, `eos`, `complete`, none | *ok*; *empty* without text |
//! | `tool_calls`, `function_call`, `tool_use`, `other`, `malformed_function_call` … | *empty* without text; with text *ok*, from Gemini *empty* |
//! | `length`, `max_tokens`, `max_output_tokens`, `model_length`, `incomplete`, `model_context_window_exceeded` … | *truncated* |
//! | `content_filter`, `safety`, `recitation`, `blocklist`, `prohibited_content`, `spii`, `error_toxic`, `sensitive` … | *blocked* |
//! | `refusal` | *refused* |
//! | `error`, `server_error`, `abort`, `cancelled`, `insufficient_system_resource`, `network_error` … | *error*: asked for again, three times |
//! | any other word | *ok* with a warning that names it; *empty* without text; from Gemini *blocked* |

use crate::rows::Outcome;

/// What a reason means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// The model said all that it wanted.
    Whole,
    /// It stopped for something that was not asked of it, such as a call of a tool.
    Astray,
    /// It was cut at a limit.
    Cut,
    /// The provider stopped it for what it said.
    Blocked,
    /// The model refused.
    Refused,
    /// The server failed while the model spoke.
    Failed,
}

static TABLE: &[(Finish, &[&str])] = &[
    (
        Finish::Whole,
        &["", "stop", "end_turn", "stop_sequence", "eos", "eos_token", "end", "complete", "completed", "done", "null"],
    ),
    (
        Finish::Astray,
        &[
            "tool_calls",
            "function_call",
            "tool_use",
            "tool_call",
            "pause_turn",
            "other",
            "finish_reason_unspecified",
            "malformed_function_call",
            "unexpected_tool_call",
            "too_many_tool_calls",
        ],
    ),
    (
        Finish::Cut,
        &[
            "length",
            "max_tokens",
            "max_output_tokens",
            "max_completion_tokens",
            "max_new_tokens",
            "max_length",
            "model_length",
            "context_length",
            "incomplete",
            "truncated",
            "model_context_window_exceeded",
        ],
    ),
    (
        Finish::Blocked,
        &[
            "content_filter",
            "content_filtered",
            "content_blocked",
            "safety",
            "recitation",
            "language",
            "blocklist",
            "prohibited_content",
            "spii",
            "image_safety",
            "error_toxic",
            "guardrail_intervened",
            "sensitive",
            "moderation",
            "flagged",
        ],
    ),
    (Finish::Refused, &["refusal", "refused"]),
    (
        Finish::Failed,
        &[
            "error",
            "server_error",
            "internal_error",
            "abort",
            "aborted",
            "cancelled",
            "canceled",
            "user_cancel",
            "timeout",
            "network_error",
            "insufficient_system_resource",
            "error_limit",
        ],
    ),
];

/// Returns what a reason means; `None` for a word that is not in the table.
pub(crate) fn meaning(reason: &str) -> Option<Finish> {
    let reason = reason.trim().to_lowercase();
    TABLE.iter().find(|(_, words)| words.contains(&reason.as_str())).map(|(finish, _)| *finish)
}

/// Returns what became of a call that ended for this reason. A word that is not in the table says nothing against the text.
pub(crate) fn outcome(reason: &str, text: &str) -> Outcome {
    match meaning(reason) {
        Some(Finish::Cut) => Outcome::Truncated,
        Some(Finish::Blocked) => Outcome::Blocked,
        Some(Finish::Refused) => Outcome::Refused,
        Some(Finish::Failed) => Outcome::Error,
        Some(Finish::Whole | Finish::Astray) | None if text.trim().is_empty() => Outcome::Empty,
        Some(Finish::Whole | Finish::Astray) | None => Outcome::Ok,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_stands_once_in_the_table() {
        let words: Vec<_> = TABLE.iter().flat_map(|(_, words)| words.iter()).collect();
        let distinct: std::collections::BTreeSet<_> = words.iter().collect();
        assert_eq!(words.len(), distinct.len());
        assert!(words.iter().all(|word| word.to_lowercase() == **word));
    }

    #[test]
    fn a_reason_means_the_same_in_every_vendors_spelling() {
        for (reason, expected) in [
            ("stop", Outcome::Ok),
            ("STOP", Outcome::Ok),
            ("", Outcome::Ok),
            ("end_turn", Outcome::Ok),
            ("some_new_reason", Outcome::Ok),
            ("length", Outcome::Truncated),
            ("max_tokens", Outcome::Truncated),
            ("MAX_TOKENS", Outcome::Truncated),
            ("model_length", Outcome::Truncated),
            ("SAFETY", Outcome::Blocked),
            ("content_filter", Outcome::Blocked),
            ("ERROR_TOXIC", Outcome::Blocked),
            ("refusal", Outcome::Refused),
            ("error", Outcome::Error),
            ("insufficient_system_resource", Outcome::Error),
        ] {
            assert_eq!(outcome(reason, "text"), expected, "{reason}");
        }
        assert_eq!(outcome("stop", " \n"), Outcome::Empty);
        assert_eq!(outcome("some_new_reason", ""), Outcome::Empty);
        assert_eq!(outcome("length", ""), Outcome::Truncated);
    }
}
