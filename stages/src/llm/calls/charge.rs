//! Charges for tries without a reply. Takes a failure and the response, if there was one; gives whether the try may have been paid for.

use reqwest::StatusCode;
use serde_json::Value;

use super::outcome::{Failed, Why};

/// The code of a failure because the reply is too large to read.
pub(crate) const TOO_LARGE: &str = "large";

/// Returns whether the server may have generated a reply that is paid for. Errors of a model's own server are not charged by any vendor;
/// a gateway's may come after the server behind it has done its work.
pub(crate) fn may_be_charged(failed: &Failed, response: Option<(StatusCode, &[u8])>) -> bool {
    match (failed, response) {
        // The request was sent, and nothing or not all came back.
        (Failed::Again { why: Why::Trouble | Why::Nonsense | Why::NoAnswer(_), .. }, None) => true,
        (Failed::Never { code, .. }, None) => code == TOO_LARGE,
        (_, Some((_, body))) if tells_of_tokens(body) => true,
        (Failed::Again { .. }, Some((status, _))) => status.is_success() || gave_up(status),
        // No connection was made, or the request was refused.
        (Failed::Again { .. } | Failed::TooFast { .. } | Failed::NoSchema { .. }, None)
        | (Failed::TooFast { .. } | Failed::NoSchema { .. } | Failed::Never { .. }, Some(_)) => false,
    }
}

/// Returns whether a server or a gateway stopped waiting for work that was under way.
fn gave_up(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 499 | 502 | 504 | 520..=524)
}

/// Returns whether the body of a failure says that tokens were generated.
fn tells_of_tokens(body: &[u8]) -> bool {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return false };
    let inner = body.get("error").unwrap_or(&Value::Null);
    let some = |value: &Value| value.as_object().is_some_and(|usage| usage.values().any(|count| count.as_u64() > Some(0)));
    let counted = ["usage", "usageMetadata"].iter().any(|name| body.get(*name).or_else(|| inner.get(*name)).is_some_and(some));
    counted || inner.get("failed_generation").is_some_and(|text| !text.is_null())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(why: Why) -> Failed {
        Failed::Again { after: None, message: String::new(), why }
    }

    #[test]
    fn what_a_server_may_have_generated_may_be_charged() {
        let charged = |failed: &Failed, status: u16, body: &str| {
            may_be_charged(failed, Some((StatusCode::from_u16(status).unwrap(), body.as_bytes())))
        };
        assert!(may_be_charged(&again(Why::Trouble), None) && !may_be_charged(&again(Why::Unreached), None));
        assert!(may_be_charged(&Failed::never(TOO_LARGE, String::new()), None));
        assert!(!may_be_charged(&Failed::never("certificate", String::new()), None));
        assert!(charged(&again(Why::Nonsense), 200, "no JSON") && charged(&again(Why::Trouble), 504, ""));
        for status in [429, 500, 503, 529] {
            assert!(!charged(&again(Why::Trouble), status, r#"{"error": {"message": "busy"}}"#), "{status}");
        }
        let refused = Failed::never("400", String::new());
        assert!(!charged(&refused, 400, r#"{"error": {"message": "no such model"}, "usage": {"total_tokens": 0}}"#));
        assert!(charged(&refused, 400, r#"{"error": {"code": "json_validate_failed", "failed_generation": "{"}}"#));
        assert!(charged(&refused, 400, r#"{"error": {"message": "filtered"}, "usage": {"prompt_tokens": 9}}"#));
    }
}
