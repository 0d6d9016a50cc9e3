//! `Natural Questions` in its open form (Lee et al. 2019, "Latent Retrieval for Weakly Supervised Open Domain Question
//! Answering"; the `EfficientQA` files too). Takes its rows; gives questions.
//!
//! A row has `question`, and `answer` with every text that counts as right.

use engine::{Context, StageError};
use serde_json::Value;

use super::{
    draft::Draft,
    loader::{Benchmark, Reads, Settings},
    tables::{
        row::{drafts, text, texts},
        table::rows,
    },
};

pub(crate) const BENCHMARK: Benchmark = Benchmark {
    name: "natural_questions",
    summary: "questions from a search engine, in their open form (Lee et al. 2019)",
    example: "{ name: natural_questions, fetch: true }",
    version: 1,
    reads: Reads::File,
    load,
};

fn load(ctx: &Context, settings: &Settings<'_>) -> Result<Vec<Draft>, StageError> {
    let file = settings.file()?;
    drafts(file, rows(ctx, file)?, "this reads the published `NQ-open.*.jsonl`; for another file use `name: jsonl`", draft)
}

fn draft(index: usize, row: &Value) -> Result<Draft, String> {
    Ok(Draft {
        id: Some(format!("natural_questions-{index}")),
        question: text(row, "question")?.to_owned(),
        gold: texts(row, "answer")?,
        ..Draft::default()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_answer_counts() {
        let read = draft(4, &json!({ "question": "who drew the map", "answer": ["Ann", "Ann Bell"] })).unwrap();
        assert_eq!(
            (read.id.as_deref(), read.gold.as_slice()),
            (Some("natural_questions-4"), &["Ann".into(), "Ann Bell".into()][..])
        );
        let told = draft(0, &json!({ "question": "who drew the map", "answer": "Ann" })).err().unwrap();
        assert_eq!(told, "`answer` is no list of texts");
    }
}
