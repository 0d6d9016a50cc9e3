//! Logs of inspect-ai: `.eval` archives and JSON. Takes a log; gives a recording for each sample of each epoch.

use std::{collections::BTreeMap, io::Read as _};

use engine::{StageError, without_place};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;
use zip::ZipArchive;

use super::{
    Recorded, Recording, Recordings, Source,
    log::{Log, has},
};
use crate::{
    guarded::guarded,
    rows::{Grade, Outcome},
    unpacked::{FREE, RATIO},
};

pub(super) const JSON: Log = Log { recognise: |fields| has(fields, &["eval", "samples"]), read: json };

#[derive(Deserialize)]
struct Whole {
    eval: Eval,
    #[serde(default)]
    samples: Vec<Sample>,
}

#[derive(Deserialize)]
struct Header {
    eval: Eval,
}

#[derive(Deserialize)]
struct Eval {
    model: String,
}

#[derive(Deserialize)]
struct Sample {
    id: Value,
    #[serde(default)]
    epoch: u64,
    input: Value,
    #[serde(default)]
    output: Output,
    #[serde(default)]
    scores: Option<BTreeMap<String, Score>>,
    #[serde(default)]
    error: Option<IgnoredAny>,
    /// Long texts, which are named elsewhere by `attachment://KEY`.
    #[serde(default)]
    attachments: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Output {
    completion: Option<String>,
    choices: Vec<Choice>,
    usage: Option<Tokens>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    message: Value,
}

#[derive(Deserialize)]
struct Score {
    value: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "as the log has them")]
struct Tokens {
    input_tokens: u64,
    output_tokens: u64,
    input_tokens_cache_read: Option<u64>,
    input_tokens_cache_write: Option<u64>,
    reasoning_tokens: Option<u64>,
}

/// Reads a log in JSON.
fn json(source: Source<'_>) -> Result<Recordings<'_>, StageError> {
    let log: Whole = serde_json::from_reader(source.text()?)
        .map_err(|error| damaged(&source.name(), &format!("line {}: {}", error.line(), without_place(&error))))?;
    let model = log.eval.model;
    Ok(Box::new(log.samples.into_iter().map(move |sample| Ok(recording(sample, &model)))))
}

/// Reads an `.eval` archive: each sample is a file in it.
pub(super) fn archive(source: Source<'_>) -> Result<Recordings<'_>, StageError> {
    let name = source.name();
    let copy = source.copy()?;
    let read = guarded(|| samples(copy)).map_err(|reason| damaged(&name, &reason))?;
    let recordings = read.map_err(|reason| damaged(&name, &reason))?;
    Ok(Box::new(recordings.into_iter().map(Ok)))
}

/// Where the model's name is: in the header or, in the log of a run that was cut off, in its start.
const HEADERS: [&str; 2] = ["header.json", "_journal/start.json"];

fn samples(file: std::fs::File) -> Result<Vec<Recording>, String> {
    let size = file.metadata().map_err(|error| error.to_string())?.len();
    let mut left = FREE.saturating_add(size.saturating_mul(RATIO));
    let mut archive = ZipArchive::new(file).map_err(|error| error.to_string())?;
    let header = HEADERS.into_iter().find(|header| archive.index_for_name(header).is_some());
    let header = header.ok_or("it is no log of inspect-ai: there is no `header.json` in it")?;
    let model = entry::<Header>(&mut archive, header, &mut left)?.eval.model;
    let mut names: Vec<_> = archive.file_names().filter(|name| name.starts_with("samples/")).map(str::to_owned).collect();
    names.sort_unstable();
    names.iter().map(|name| Ok(recording(entry(&mut archive, name, &mut left)?, &model))).collect()
}

/// Reads a file of an archive. `left` is how many more bytes the archive may unpack to.
fn entry<T: for<'de> Deserialize<'de>>(archive: &mut ZipArchive<std::fs::File>, name: &str, left: &mut u64) -> Result<T, String> {
    let wrong = |what: String| format!("`{name}` in it: {what}");
    let file = archive.by_name(name).map_err(|error| wrong(error.to_string()))?;
    let mut text = std::io::BufReader::new(file.take(*left));
    let read = serde_json::from_reader(&mut text);
    *left = text.get_ref().limit();
    if *left == 0 {
        return Err(wrong(format!("it unpacks to more than {RATIO} times its size, which a log does not")));
    }
    read.map_err(|error| wrong(without_place(&error)))
}

fn damaged(file: &str, reason: &str) -> StageError {
    StageError::failed(format!("`{file}`: {reason}")).help("name a whole log of inspect-ai, an `.eval` file or one in JSON")
}

fn recording(sample: Sample, model: &str) -> Recording {
    let id = match &sample.id {
        Value::String(id) => id.clone(),
        other => other.to_string(),
    };
    let question = asked(&sample.input).map(|text| match text.strip_prefix("attachment://") {
        Some(key) => sample.attachments.get(key).cloned().unwrap_or_default(),
        None => text,
    });
    let choice = sample.output.choices.first();
    let text = sample.output.completion.filter(|text| !text.is_empty()).or_else(|| content(&choice?.message["content"]));
    let tokens = sample.output.usage;
    let failed = sample.error.is_some() || sample.output.error.is_some();
    let recorded = Recorded {
        text,
        verdict: sample.scores.as_ref().and_then(verdict),
        outcome: failed.then_some(Outcome::Error),
        finish: choice.and_then(|choice| choice.stop_reason.clone()),
        // These programs count cached tokens beside the input, and reasoning within the output.
        input: tokens.as_ref().map(|tokens| {
            tokens.input_tokens + tokens.input_tokens_cache_read.unwrap_or(0) + tokens.input_tokens_cache_write.unwrap_or(0)
        }),
        output: tokens.as_ref().map(|tokens| tokens.output_tokens.saturating_sub(tokens.reasoning_tokens.unwrap_or(0))),
        thinking: tokens.as_ref().and_then(|tokens| tokens.reasoning_tokens),
        cached: tokens.as_ref().and_then(|tokens| tokens.input_tokens_cache_read),
        cache_write: tokens.as_ref().and_then(|tokens| tokens.input_tokens_cache_write),
        ..Recorded::default()
    };
    Recording {
        place: format!("sample `{id}`, epoch {}", sample.epoch),
        id,
        question,
        answers: BTreeMap::from([(model.to_owned(), recorded)]),
    }
}

/// Returns the text of what was asked: the input, or its last message of a user.
fn asked(input: &Value) -> Option<String> {
    match input {
        Value::String(text) => Some(text.clone()),
        Value::Array(messages) => content(&messages.iter().rev().find(|message| message["role"] == "user")?["content"]),
        _ => None,
    }
}

/// Returns the text of a message, without what is no text.
fn content(content: &Value) -> Option<String> {
    match content {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => {
            let texts = parts.iter().filter(|part| part["type"] == "text").filter_map(|part| part["text"].as_str());
            Some(texts.collect::<Vec<_>>().concat()).filter(|text| !text.is_empty())
        }
        _ => None,
    }
}

/// Returns the verdict that all scorers agree on. A score between right and wrong is none.
fn verdict(scores: &BTreeMap<String, Score>) -> Option<Grade> {
    let mut grades = scores.values().map(|score| grade(&score.value));
    let first = grades.next()??;
    grades.all(|grade| grade == Some(first)).then_some(first)
}

fn grade(value: &Value) -> Option<Grade> {
    match value {
        Value::Bool(true) => Some(Grade::Correct),
        Value::Bool(false) => Some(Grade::Incorrect),
        Value::Number(number) if number.as_f64() == Some(1.0) => Some(Grade::Correct),
        Value::Number(number) if number.as_f64() == Some(0.0) => Some(Grade::Incorrect),
        Value::String(letter) => match letter.as_str() {
            "C" => Some(Grade::Correct),
            "I" => Some(Grade::Incorrect),
            "N" => Some(Grade::Idk),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scorers_have_to_agree() {
        let read = |scores: Value| verdict(&serde_json::from_value(scores).unwrap());
        assert_eq!(read(json!({ "a": { "value": "C" } })), Some(Grade::Correct));
        assert_eq!(read(json!({ "a": { "value": "N" } })), Some(Grade::Idk));
        assert_eq!(read(json!({ "a": { "value": 0 }, "b": { "value": "I" } })), Some(Grade::Incorrect));
        assert_eq!(read(json!({ "a": { "value": "C" }, "b": { "value": "I" } })), None);
        assert_eq!(read(json!({ "a": { "value": 0.5 } })), None);
        assert_eq!(read(json!({})), None);
    }

    #[test]
    fn the_last_message_of_a_user_was_asked() {
        let messages = json!([{ "role": "system", "content": "Be brief." },
            { "role": "user", "content": [{ "type": "text", "text": "Who?" }, { "type": "image", "image": "x" }] }]);
        assert_eq!(asked(&messages).as_deref(), Some("Who?"));
    }
}
