//! Logs of `openai/evals`: JSON lines of a `spec`, then events. Takes such a file; gives a recording for each sample.

use std::collections::BTreeMap;

use engine::StageError;
use serde_json::Value;

use super::{
    ANY_MODEL, Recorded, Recording, Recordings, Source,
    lines::{malformed_in, numbered},
    log::{Log, has},
};
use crate::rows::Grade;

pub(super) const FORMAT: Log = Log { recognise: |fields| has(fields, &["spec"]), read };

fn read(source: Source<'_>) -> Result<Recordings<'_>, StageError> {
    let name = source.name();
    let (mut model, mut samples) = (ANY_MODEL.to_owned(), BTreeMap::<String, Recording>::new());
    for line in numbered(name.clone(), source.text()?) {
        let (number, line) = line?;
        let event: Value = serde_json::from_str(&line).map_err(|error| malformed_in(&name, number, &error))?;
        if let Some(spec) = event.get("spec") {
            let named = spec.pointer("/completion_fns/0").or_else(|| spec.get("completion_fn")).and_then(Value::as_str);
            named.unwrap_or(ANY_MODEL).clone_into(&mut model);
            continue;
        }
        let Some(id) = event["sample_id"].as_str() else { continue };
        let sample = samples.entry(id.to_owned()).or_insert_with(|| Recording {
            id: id.to_owned(),
            question: None,
            answers: BTreeMap::from([(model.clone(), Recorded::default())]),
            place: format!("line {number}"),
        });
        // The first sampling is the answer; those behind it are of a model that grades.
        let first = sample.question.is_none();
        let question = &mut sample.question;
        let Some(recorded) = sample.answers.values_mut().next() else { continue };
        let data = &event["data"];
        match event["type"].as_str() {
            Some("sampling") if first => {
                *question = Some(asked(&data["prompt"]).unwrap_or_default());
                recorded.text = data["sampled"].as_str().or_else(|| data["sampled"][0].as_str()).map(str::to_owned);
                recorded.input = data["usage"]["prompt_tokens"].as_u64();
                recorded.output = data["usage"]["completion_tokens"].as_u64();
            }
            Some("match" | "metrics") => recorded.verdict = grade(data).or(recorded.verdict),
            _ => {}
        }
    }
    Ok(Box::new(samples.into_values().map(Ok)))
}

/// Returns the text of what was asked: the prompt, or its last message of a user.
fn asked(prompt: &Value) -> Option<String> {
    let messages = match prompt {
        Value::String(text) => return Some(text.clone()),
        Value::Array(messages) => messages,
        _ => return None,
    };
    let last = messages.iter().rev().find(|message| message["role"] == "user").or(messages.last())?;
    last["content"].as_str().map(str::to_owned)
}

fn grade(data: &Value) -> Option<Grade> {
    let right = data["correct"].as_bool().or_else(|| match (data["choice"].as_str(), data["score"].as_f64()) {
        (Some("C" | "Y" | "Yes"), _) | (None, Some(1.0)) => Some(true),
        (Some("I" | "N" | "No"), _) | (None, Some(0.0)) => Some(false),
        _ => None,
    });
    right.map(|right| if right { Grade::Correct } else { Grade::Incorrect })
}
