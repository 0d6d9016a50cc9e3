//! Samples of lm-evaluation-harness: `samples_TASK_*.jsonl`, which `--log_samples` writes. Takes such a file; gives a recording for each line.
//!
//! The file does not name the model. A choice by likelihood has no text, only a verdict.

use std::collections::BTreeMap;

use engine::StageError;
use serde_json::Value;

use super::{
    ANY_MODEL, Recorded, Recording, Recordings, Source,
    lines::{malformed_in, numbered},
    log::{Log, has},
};
use crate::rows::Grade;

pub(super) const FORMAT: Log = Log { recognise: |fields| has(fields, &["doc", "resps"]), read };

fn read(source: Source<'_>) -> Result<Recordings<'_>, StageError> {
    let name = source.name();
    Ok(Box::new(numbered(name.clone(), source.text()?).map(move |line| {
        let (number, line) = line?;
        let row = serde_json::from_str(&line).map_err(|error| malformed_in(&name, number, &error))?;
        Ok(recording(&row, number))
    })))
}

const IDS: [&str; 4] = ["id", "question_id", "qid", "task_id"];
const QUESTIONS: [&str; 6] = ["question", "Question", "problem", "prompt", "input", "query"];

fn recording(row: &Value, number: usize) -> Recording {
    let doc = &row["doc"];
    let id = IDS.iter().find_map(|name| match &doc[name] {
        Value::String(id) => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    });
    let own = QUESTIONS.iter().find_map(|name| doc[name].as_str());
    // Older versions have a list of lists.
    let prompt = row.pointer("/arguments/gen_args_0/arg_0").or_else(|| row.pointer("/arguments/0/0"));
    let question = own.or_else(|| prompt?.as_str()).map(str::to_owned);
    // The number of a row counts in the task's own order, so it is the last resort.
    let id = id.or_else(|| question.is_none().then(|| row["doc_id"].to_string()));
    let text = [row.pointer("/resps/0"), row.pointer("/resps/0/0")].into_iter().flatten().find_map(Value::as_str);
    let recorded = Recorded { text: text.map(str::to_owned), verdict: verdict(row), ..Recorded::default() };
    Recording {
        id: id.unwrap_or_default(),
        question,
        answers: BTreeMap::from([(ANY_MODEL.to_owned(), recorded)]),
        place: format!("line {number}"),
    }
}

/// Metrics that say whether an answer is right, the preferred first.
const METRICS: [&str; 6] = ["exact_match", "acc", "em", "math_verify", "pass@1", "score"];

/// Returns the verdict of the preferred metric, or of the only one.
fn verdict(row: &Value) -> Option<Grade> {
    let metrics: Vec<_> = row["metrics"].as_array()?.iter().filter_map(Value::as_str).collect();
    let metric = METRICS.into_iter().find(|metric| metrics.contains(metric));
    let metric = metric.or(if let [only] = metrics.as_slice() { Some(*only) } else { None })?;
    let value = &row[metric];
    match value.as_f64().or_else(|| value.as_bool().map(f64::from))? {
        1.0 => Some(Grade::Correct),
        0.0 => Some(Grade::Incorrect),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_choice_by_likelihood_has_a_verdict_and_no_text() {
        let row = json!({ "doc_id": 4, "doc": { "question": "Which?" }, "resps": [[["-0.1", "False"]], [["-2", "False"]]],
            "metrics": ["acc", "acc_norm"], "acc": 1.0, "acc_norm": 0.0 });
        let read = recording(&row, 1);
        assert_eq!((read.id.as_str(), read.question.as_deref()), ("", Some("Which?")));
        let recorded = &read.answers[ANY_MODEL];
        assert_eq!((recorded.text.as_deref(), recorded.verdict), (None, Some(Grade::Correct)));
    }

    #[test]
    fn a_row_without_names_is_found_by_its_prompt_or_its_number() {
        let old = json!({ "doc_id": 4, "doc": {}, "arguments": [["Q: Which?", { "until": [] }]], "resps": [["x"]], "metrics": ["f1"], "f1": 0.4 });
        let read = recording(&old, 1);
        assert_eq!((read.id.as_str(), read.question.as_deref(), read.answers[ANY_MODEL].verdict), ("", Some("Q: Which?"), None));
        assert_eq!(recording(&json!({ "doc_id": 4, "doc": {}, "resps": [["x"]] }), 1).id, "4");
    }
}
