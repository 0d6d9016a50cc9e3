//! `MMLU-Pro` (Wang et al. 2024, "`MMLU-Pro`: A More Robust and Challenging Multi-Task Language Understanding Benchmark"). Takes its
//! published Parquet, JSON lines or a JSON array; gives questions with up to ten choices.

use engine::{Context, StageError};
use serde_json::Value;

use super::{
    choices,
    draft::Draft,
    loader::{Benchmark, Reads, Settings},
    published::Published,
    tables::{
        row::{drafts, meta, text, texts},
        table::rows,
    },
};

pub(crate) const BENCHMARK: Benchmark = Benchmark {
    name: "mmlu_pro",
    summary: "up to ten choices (Wang et al. 2024)",
    example: "{ name: mmlu_pro, path: questions.parquet }",
    version: 1,
    reads: Reads::File,
    published: &[
        Published {
            rows: Some(12032),
            digest: None,
            address: "https://huggingface.co/datasets/TIGER-Lab/MMLU-Pro/resolve/main/data/test-00000-of-00001.parquet",
        },
        Published {
            rows: Some(70),
            digest: None,
            address: "https://huggingface.co/datasets/TIGER-Lab/MMLU-Pro/resolve/main/data/validation-00000-of-00001.parquet",
        },
    ],
    load,
};

fn load(ctx: &Context, settings: &Settings<'_>) -> Result<Vec<Draft>, StageError> {
    let file = settings.file()?;
    drafts(file, rows(ctx, file)?, "this reads the published rows; for other ones use `name: jsonl` or `name: parquet`", draft)
}

/// The text with which some editions fill up the choices to ten.
const NONE: &str = "N/A";

fn draft(_: usize, row: &Value) -> Result<Draft, String> {
    let id = row.get("question_id").ok_or("there is no `question_id`")?;
    let id = id.as_u64().ok_or("`question_id` is no number")?;
    let mut choices = texts(row, "options")?;
    while choices.last().is_some_and(|last| last == NONE) {
        choices.pop();
    }
    let gold = text(row, "answer")?;
    let place = (0..choices.len()).find(|place| choices::letter(*place) == Some(gold));
    let place = place.ok_or_else(|| format!("`answer` is `{gold}`, and there are {} choices", choices.len()))?;
    if let Some(index) = row.get("answer_index").filter(|index| index.as_u64() != Some(place as u64)) {
        return Err(format!("`answer` is `{gold}`, and `answer_index` is {index}"));
    }
    Ok(Draft {
        id: Some(format!("mmlu_pro-{id}")),
        question: text(row, "question")?.to_owned(),
        gold: vec![gold.to_owned()],
        choices,
        meta: meta(row, &["category", "src"]),
        ..Draft::default()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn letter_and_index_must_agree() {
        let row = |answer: &str, index: u64| {
            let options = ["x", "N/A", "y", "N/A", "N/A"];
            json!({
                "question_id": 70, "question": "Which?", "options": options, "answer": answer, "answer_index": index, "category": "law",
            })
        };
        let read = draft(0, &row("C", 2)).unwrap();
        assert_eq!((read.id.as_deref(), read.gold.as_slice()), (Some("mmlu_pro-70"), &["C".to_owned()][..]));
        assert_eq!(read.choices, ["x", "N/A", "y"]);
        assert_eq!(Value::from(read.meta), json!({ "category": "law" }));
        assert_eq!(draft(0, &row("C", 1)).err().unwrap(), "`answer` is `C`, and `answer_index` is 1");
        assert_eq!(draft(0, &row("D", 3)).err().unwrap(), "`answer` is `D`, and there are 3 choices");
    }
}
