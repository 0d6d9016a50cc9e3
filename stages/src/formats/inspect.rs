//! Logs of inspect-ai. Takes samples; gives `ROLE.json`, which its `read_eval_log` and `inspect view` read.

use engine::{ExportFormat, ExportedFile, RowsByType};
use serde_json::{Value, json};

use super::{NEEDS, Sample, file_name, samples};
use crate::rows::{Grade, Outcome, Usage};

pub(super) const FORMAT: ExportFormat = ExportFormat { name: "inspect", needs: NEEDS, write };

/// The name of the score that a verdict becomes.
const SCORER: &str = "verdict";

fn write(rows: &RowsByType) -> Result<Vec<ExportedFile>, String> {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string();
    let files = samples(rows)?.into_iter().map(|(role, samples)| {
        let mut bytes = serde_json::to_vec_pretty(&log(&role, &samples, &now)).map_err(|error| error.to_string())?;
        bytes.push(b'\n');
        Ok(ExportedFile { name: format!("{}.json", file_name(&role)), bytes })
    });
    files.collect()
}

fn log(role: &str, samples: &[Sample], now: &str) -> Value {
    let judged: Vec<_> = samples.iter().filter_map(|sample| sample.verdict.as_ref()).collect();
    let right = judged.iter().filter(|verdict| verdict.verdict == Grade::Correct).count();
    let ids: Vec<_> = samples.iter().map(|sample| &sample.question.id).collect();
    let model = samples.first().map(|sample| &sample.answer.asked);
    let benchmark = samples.first().map_or("questions", |sample| sample.question.benchmark.as_str());
    let mut used = Usage::default();
    for sample in samples {
        used += sample.answer.usage;
    }
    let accuracy =
        json!({ "accuracy": { "name": "accuracy", "value": right as f64 / judged.len().max(1) as f64, "params": {} } });
    let scores = json!([{ "name": SCORER, "scorer": SCORER, "params": {}, "metrics": accuracy, "scored_samples": judged.len() }]);
    json!({
        "version": 2,
        "status": "success",
        "eval": {
            "eval_id": format!("fingerpost-{role}"), "run_id": "fingerpost", "task_id": benchmark, "created": now, "task": benchmark,
            "dataset": { "name": benchmark, "samples": samples.len(), "sample_ids": ids, "shuffled": false },
            "model": model, "config": { "epochs": 1 }, "metadata": { "role": role },
        },
        "plan": { "name": "plan", "steps": [], "config": {} },
        "results": {
            "total_samples": samples.len(), "completed_samples": samples.len(),
            "scores": if judged.is_empty() { json!([]) } else { scores },
        },
        "stats": { "started_at": now, "completed_at": now, "model_usage": { model.map_or("", String::as_str): tokens(&used) } },
        "samples": samples.iter().map(sample).collect::<Vec<_>>(),
    })
}

fn sample(Sample { question, answer, verdict }: &Sample) -> Value {
    let text = answer.text.as_deref().unwrap_or_default();
    let said = json!({ "role": "assistant", "content": text, "source": "generate", "model": answer.served });
    let mut sample = json!({
        "id": question.id,
        "epoch": 1,
        "input": question.question,
        "target": question.gold,
        "messages": [{ "role": "user", "content": question.question, "source": "input" }, said],
        "output": {
            "model": answer.served,
            "choices": [{ "message": said, "stop_reason": stop_reason(answer.outcome) }],
            "completion": text,
            "usage": tokens(&answer.usage),
        },
        "metadata": { "split": question.split, "outcome": answer.outcome },
    });
    if !question.choices.is_empty() {
        sample["choices"] = json!(question.choices);
    }
    if let Some(verdict) = verdict {
        let value = match verdict.verdict {
            Grade::Correct => "C",
            Grade::Incorrect => "I",
            Grade::Idk => "N",
        };
        sample["scores"] = json!({ SCORER: { "value": value, "answer": text, "explanation": verdict.reason } });
    }
    if answer.outcome == Outcome::Error {
        sample["error"] = json!({ "message": "the call failed", "traceback": "", "traceback_ansi": "" });
    }
    sample
}

fn stop_reason(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok | Outcome::Empty => "stop",
        Outcome::Truncated => "max_tokens",
        Outcome::Blocked | Outcome::Refused => "content_filter",
        Outcome::ModelSwapped | Outcome::Error => "unknown",
    }
}

/// Returns token counts as inspect-ai has them: cached tokens beside the input, and reasoning within the output.
fn tokens(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.input.saturating_sub(usage.cached + usage.cache_write),
        "output_tokens": usage.output + usage.thinking,
        "total_tokens": usage.input + usage.output + usage.thinking,
        "input_tokens_cache_read": usage.cached,
        "input_tokens_cache_write": usage.cache_write,
        "reasoning_tokens": usage.thinking,
    })
}
