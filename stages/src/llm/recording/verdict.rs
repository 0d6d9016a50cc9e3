//! Spellings of verdicts. Takes what a grader wrote; gives the grade that it means.

use serde::{Deserialize as _, Deserializer, de::Error as _};
use serde_json::Value;

use crate::rows::Grade;

/// Reads a verdict in the spellings of benchmarks' graders.
pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Grade>, D::Error> {
    spelled(&Value::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// Returns the grade that a verdict says: in words, as a truth value, as 1 or 0, or as the letter of `SimpleQA`'s grader.
///
/// # Errors
/// A sentence that names the verdict, if it is none of these.
pub(crate) fn spelled(verdict: &Value) -> Result<Option<Grade>, String> {
    let text = match verdict {
        Value::Null => return Ok(None),
        Value::Bool(right) => return Ok(Some(if *right { Grade::Correct } else { Grade::Incorrect })),
        Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), |number| number.to_string()),
        Value::String(text) => text.trim().to_lowercase().replace(['_', '-'], " "),
        other => other.to_string(),
    };
    match text.as_str() {
        "" => Ok(None),
        "correct" | "right" | "true" | "yes" | "pass" | "passed" | "1" | "a" => Ok(Some(Grade::Correct)),
        "incorrect" | "wrong" | "false" | "no" | "fail" | "failed" | "0" | "b" | "not correct" => Ok(Some(Grade::Incorrect)),
        "idk" | "not attempted" | "unattempted" | "unknown" | "i don't know" | "c" => Ok(Some(Grade::Idk)),
        _ => Err(format!(
            "the verdict {verdict} is none that is known: write correct, incorrect or idk (true and false, 1 and 0, A, B and C as of \
             SimpleQA's grader, and not_attempted are read too)"
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn verdicts_are_read_as_graders_spell_them() {
        for (grade, spellings) in [
            (
                Grade::Correct,
                vec![json!("correct"), json!("Correct"), json!("CORRECT "), json!("A"), json!(true), json!(1), json!(1.0)],
            ),
            (Grade::Incorrect, vec![json!("INCORRECT"), json!("B"), json!(false), json!(0), json!("wrong"), json!("No")]),
            (Grade::Idk, vec![json!("idk"), json!("not_attempted"), json!("NOT ATTEMPTED"), json!("C")]),
        ] {
            for spelling in spellings {
                assert_eq!(spelled(&spelling), Ok(Some(grade)), "{spelling}");
            }
        }
        assert_eq!((spelled(&json!(null)), spelled(&json!(""))), (Ok(None), Ok(None)));
        for other in [json!("maybe"), json!(0.5), json!(2), json!(["correct"])] {
            assert!(spelled(&other).unwrap_err().contains(&other.to_string()), "{other}");
        }
    }
}
