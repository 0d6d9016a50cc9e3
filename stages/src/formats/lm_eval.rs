//! Samples of lm-evaluation-harness. Takes samples; gives `samples_ROLE.jsonl`, as its `--log_samples` writes them.

use engine::{ExportFormat, ExportedFile, RowsByType};
use serde_json::{Value, json};

use super::{NEEDS, Sample, file_name, samples};
use crate::rows::Grade;

pub(super) const FORMAT: ExportFormat = ExportFormat { name: "lm-eval", needs: NEEDS, write };

fn write(rows: &RowsByType) -> Result<Vec<ExportedFile>, String> {
    let files = samples(rows)?.into_iter().map(|(role, samples)| {
        let lines: Vec<_> = samples.iter().enumerate().map(|(index, sample)| format!("{}\n", line(index, sample))).collect();
        ExportedFile { name: format!("samples_{}.jsonl", file_name(&role)), bytes: lines.concat().into_bytes() }
    });
    Ok(files.collect())
}

fn line(index: usize, Sample { question, answer, verdict }: &Sample) -> Value {
    let text = answer.text.as_deref().unwrap_or_default();
    let mut line = json!({
        "doc_id": index,
        "doc": { "id": question.id, "question": question.question, "gold": question.gold, "choices": question.choices },
        "target": question.gold.first(),
        "arguments": { "gen_args_0": { "arg_0": question.question, "arg_1": {} } },
        "resps": [[text]],
        "filtered_resps": [text],
        "filter": "none",
        "metrics": [],
    });
    if let Some(verdict) = verdict {
        line["metrics"] = json!(["exact_match"]);
        line["exact_match"] = json!(if verdict.verdict == Grade::Correct { 1.0 } else { 0.0 });
    }
    line
}
