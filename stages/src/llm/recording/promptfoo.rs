//! Results of promptfoo: `--output FILE.json` and `FILE.jsonl`. Takes such a file; gives a recording for each result.
//!
//! The question is the variable `question`, or else the only one; the id is the variable `id`.

use std::collections::BTreeMap;

use engine::{StageError, without_place};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Recorded, Recording, Recordings, Source,
    lines::{malformed_in, numbered},
    log::{Log, has},
};
use crate::rows::{Grade, Outcome};

pub(super) const JSON: Log = Log { recognise: |fields| has(fields, &["results", "config"]), read: json };
pub(super) const LINES: Log = Log { recognise: |fields| has(fields, &["testCase", "promptIdx", "provider"]), read: lines };

#[derive(Deserialize)]
struct Document {
    results: Results,
}

#[derive(Deserialize)]
struct Results {
    results: Vec<Value>,
}

fn json(source: Source<'_>) -> Result<Recordings<'_>, StageError> {
    let read: Document = serde_json::from_reader(source.text()?).map_err(|error| {
        StageError::failed(format!("`{}`, line {}: {}", source.name(), error.line(), without_place(&error)))
            .help("name a whole file that `promptfoo eval --output FILE.json` wrote")
    })?;
    let rows = read.results.results.into_iter().enumerate();
    Ok(Box::new(rows.map(|(index, row)| Ok(recording(&row, format!("result {}", index + 1))))))
}

fn lines(source: Source<'_>) -> Result<Recordings<'_>, StageError> {
    let name = source.name();
    Ok(Box::new(numbered(name.clone(), source.text()?).map(move |line| {
        let (number, line) = line?;
        let row = serde_json::from_str(&line).map_err(|error| malformed_in(&name, number, &error))?;
        Ok(recording(&row, format!("line {number}")))
    })))
}

/// What `failureReason` says of a call that failed, and not of an answer that was wrong.
const CALL_FAILED: u64 = 2;

fn recording(row: &Value, place: String) -> Recording {
    let vars = row["vars"].as_object();
    let var = |name: &str| match vars?.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let only = || vars.filter(|vars| vars.len() == 1)?.values().next()?.as_str().map(str::to_owned);
    let prompt = || row["prompt"]["raw"].as_str().map(str::to_owned);
    let response = &row["response"];
    let text = match &response["output"] {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let failed = row["failureReason"].as_u64() == Some(CALL_FAILED) || (text.is_none() && row["error"].is_string());
    let refused = response["isRefusal"].as_bool() == Some(true);
    let tokens = |names: &str| response["tokenUsage"].pointer(names).and_then(Value::as_u64).filter(|count| *count > 0);
    let thinking = tokens("/completionDetails/reasoning");
    let recorded = Recorded {
        text,
        verdict: verdict(row).filter(|_| !failed),
        outcome: if failed {
            Some(Outcome::Error)
        } else if refused {
            Some(Outcome::Refused)
        } else {
            None
        },
        finish: response["finishReason"].as_str().map(str::to_owned),
        input: tokens("/prompt"),
        output: tokens("/completion").map(|output| output.saturating_sub(thinking.unwrap_or(0))),
        thinking,
        cached: tokens("/completionDetails/cacheReadInputTokens"),
        cache_write: tokens("/completionDetails/cacheCreationInputTokens"),
        ..Recorded::default()
    };
    let provider = &row["provider"];
    let model = provider["label"].as_str().filter(|label| !label.is_empty()).or(provider["id"].as_str()).or(provider.as_str());
    Recording {
        id: var("id").unwrap_or_default(),
        question: var("question").or_else(only).or_else(prompt),
        answers: BTreeMap::from([(model.unwrap_or_default().to_owned(), recorded)]),
        place,
    }
}

/// Returns whether all assertions hold; nothing, if there are none.
fn verdict(row: &Value) -> Option<Grade> {
    let lists = [&row["gradingResult"]["componentResults"], &row["testCase"]["assert"]];
    let asserted = lists.iter().any(|list| list.as_array().is_some_and(|list| !list.is_empty()));
    let right = row["success"].as_bool().filter(|_| asserted)?;
    Some(if right { Grade::Correct } else { Grade::Incorrect })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_failed_call_is_no_wrong_answer_and_no_assertion_is_no_verdict() {
        let row = |more: Value| {
            let mut row = json!({ "vars": { "question": "Who?" }, "provider": { "id": "openai:chat:m", "label": "" },
                "testCase": { "assert": [{ "type": "contains" }] }, "success": false });
            row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            recording(&row, String::new()).answers["openai:chat:m"].clone()
        };
        let failed = row(json!({ "error": "429", "failureReason": 2 }));
        assert_eq!((failed.outcome, failed.verdict), (Some(Outcome::Error), None));
        let wrong = row(json!({ "response": { "output": "Bo" }, "failureReason": 1, "error": "no" }));
        assert_eq!((wrong.outcome, wrong.verdict), (None, Some(Grade::Incorrect)));
        let free = row(json!({ "response": { "output": "Bo" }, "success": true, "testCase": {} }));
        assert_eq!((free.text.as_deref(), free.verdict), (Some("Bo"), None));
    }
}
