//! Errors that concern one prompt and no other. Takes an error in a server's own words; gives whether the prompt is too long or is refused.
//!
//! Gateways pass on the words of the vendors behind them, so all protocols are read alike. Codes are read first, since a message may quote
//! the prompt. An error about the account, its key or its quota is never about a prompt, whatever else it says.

use crate::llm::providers::protocol::{Meaning, VendorError};

/// Statuses with which servers refuse one prompt. Some send 500 for a prompt that is too long.
const STATUSES: [u16; 6] = [400, 403, 413, 422, 451, 500];

/// Parts of codes and types that say that the prompt is too long, without `_`, `-` and spaces.
const LONG_CODES: [&str; 8] = [
    "contextlength",
    "contextsize",
    "contextwindow",
    "maxlength",
    "prompttoolong",
    "inputtoolong",
    "tokenlimitexceeded",
    "requesttoolarge",
];

/// Parts of messages that say so.
const LONG_WORDS: [&str; 22] = [
    "context length",
    "context size",
    "context window",
    "context limit",
    "maximum context",
    "prompt is too long",
    "input is too long",
    "prompt too long",
    "is too long for",
    "maximum prompt length",
    "prompt exceeds",
    "input exceeds",
    "input token count",
    "input tokens exceed",
    "number of tokens allowed",
    "`inputs` tokens",
    "too many tokens",
    "range of input length",
    "input length should be",
    "reduce the length of",
    "request too large for model",
    "exceeds the model's",
];

/// Parts of codes and types that say that the prompt is refused, without `_`, `-` and spaces.
const REFUSED_CODES: [&str; 16] = [
    "invalidprompt",
    "moderation",
    "flagged",
    "datainspection",
    "contentpolicy",
    "contentfilter",
    "contentblocked",
    "contentmoderation",
    "policyviolation",
    "responsibleai",
    "cyberpolicy",
    "sensitive",
    "unsafe",
    "inappropriate",
    "safety",
    "promptblocked",
];

/// Parts of messages that say so.
const REFUSED_WORDS: [&str; 20] = [
    "flagged",
    "usage policy",
    "usage policies",
    "content policy",
    "content policies",
    "content management policy",
    "content filter",
    "content moderation",
    "moderation",
    "safety system",
    "safety polic",
    "safety filter",
    "safety guideline",
    "inappropriate content",
    "sensitive content",
    "sensitive information",
    "prohibited content",
    "harmful content",
    "unsafe content",
    "content exists risk",
];

/// What an error is about that is not about the prompt.
const OTHERS: [&str; 11] = [
    "your account",
    "this account",
    "organization",
    "organisation",
    "api key",
    "api_key",
    "quota",
    "billing",
    "credit",
    "your project",
    "data policy",
];

/// Returns what an error means, if it is about the prompt.
pub(crate) fn meaning(error: &VendorError<'_>) -> Option<Meaning> {
    if !STATUSES.contains(&error.status) {
        return None;
    }
    let code: String = error.code.to_lowercase().chars().filter(|character| character.is_alphanumeric()).collect();
    let said = error.said.to_lowercase();
    let coded = |codes: &[&str]| codes.iter().any(|part| code.contains(part));
    let worded =
        |words: &[&str]| !OTHERS.iter().any(|other| said.contains(other)) && words.iter().any(|word| said.contains(word));
    if coded(&LONG_CODES) || worded(&LONG_WORDS) {
        return Some(Meaning::TooLong);
    }
    if error.status == 500 {
        return None;
    }
    let flagged = error.body.pointer("/error/metadata/flagged_input").is_some();
    let refused = coded(&REFUSED_CODES) || flagged || worded(&REFUSED_WORDS);
    refused.then_some(Meaning::Refused)
}

/// Returns whether an error that nobody knows may be about the prompt: it is about the request, and not about the account or its key.
pub(crate) fn may_be_about_prompt(error: &VendorError<'_>) -> bool {
    let text = format!("{} {}", error.code, error.said).to_lowercase();
    [400, 413, 422, 451].contains(&error.status) && !OTHERS.iter().any(|other| text.contains(other))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn means(status: u16, code: &str, said: &str) -> Option<Meaning> {
        meaning(&VendorError { status, code, said, body: &Value::Null })
    }

    #[test]
    fn what_vendors_say_of_one_prompt_is_known() {
        for (status, code, said) in [
            (400, "context_length_exceeded", "This model's maximum context length is 4096 tokens."),
            (400, "exceed_context_size_error", "the request exceeds the available context size."),
            (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
            (400, "INVALID_ARGUMENT", "The input token count (1500000) exceeds the maximum number of tokens allowed (1048576)."),
            (400, "", "This model's maximum prompt length is 131072 but the request contains 537812 tokens."),
            (422, "validation", "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000"),
            (400, "InvalidParameter", "Range of input length should be [1, 30720]"),
            (400, "BadRequestError", "You passed 9000 input tokens. However, the model's context length is only 8192 tokens."),
            (400, "", "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"),
            (
                413,
                "rate_limit_exceeded",
                "Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 9000",
            ),
            (500, "", "the prompt exceeds the context window of 2048 tokens"),
        ] {
            assert_eq!(means(status, code, said), Some(Meaning::TooLong), "{status} {code} {said}");
        }
        for (status, code, said) in [
            (400, "invalid_prompt", "Invalid prompt: flagged as potentially violating our usage policy."),
            (403, "", "m requires moderation on x. Your input was flagged for \"violence\"."),
            (400, "data_inspection_failed", "Input data may contain inappropriate content."),
            (400, "DataInspectionFailed", "Output data may contain inappropriate content."),
            (400, "invalid_request_error", "Output blocked by content filtering policy"),
            (400, "invalid_request_error", "Content Exists Risk"),
            (400, "content_policy_violation", "Your request was rejected as a result of our safety system."),
            (451, "", "The prompt contains prohibited content."),
        ] {
            assert_eq!(means(status, code, said), Some(Meaning::Refused), "{status} {code} {said}");
        }
        let body = json!({ "error": { "code": 403, "message": "no", "metadata": { "flagged_input": "x" } } });
        let flagged = VendorError { status: 403, code: "", said: "no", body: &body };
        assert_eq!(meaning(&flagged), Some(Meaning::Refused));
    }

    #[test]
    fn what_concerns_every_prompt_stops_all() {
        for (status, code, said) in [
            (401, "invalid_api_key", "Incorrect API key provided"),
            (403, "permission_denied", "Your account has been flagged for a violation of our usage policies."),
            (403, "", "Your organization must be verified to use this model"),
            (404, "", "No endpoints found matching your data policy"),
            (404, "model_not_found", "The model does not exist"),
            (400, "unsupported_parameter", "Unsupported parameter: 'temperature'"),
            (400, "invalid_request_error", "Your credit balance is too low"),
            (400, "", "max_tokens is too large: 100000. This model supports at most 4096 completion tokens"),
            (429, "insufficient_quota", "You exceeded your current quota"),
            (500, "", "The moderation service is down"),
            (400, "API_KEY_INVALID", "API key not valid."),
        ] {
            assert_eq!(means(status, code, said), None, "{status} {code} {said}");
        }
    }
}
