//! `Natural Questions` in its open form (Lee et al. 2019, "Latent Retrieval for Weakly Supervised Open Domain Question
//! Answering"; the `EfficientQA` files too). Takes its rows; gives questions.
//!
//! A row has `question`, and `answer` with every text that counts as right.

use engine::{Context, StageError};
use serde_json::Value;

use super::{
    draft::Draft,
    loader::{Benchmark, Reads, Settings},
    published::Published,
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
    published: &[
        Published {
            rows: Some(3610),
            digest: Some("blake3:7460af71d545dbc14f098608e128d386eb3d29135474eff30f766addf5cd879d"),
            address: "https://raw.githubusercontent.com/google-research-datasets/natural-questions/fb26a3073b1fe636c97302890a27b491d6530130/nq_open/NQ-open.dev.jsonl",
        },
        Published {
            rows: Some(1800),
            digest: Some("blake3:821fea208ad3ddebe9d83b0d9e96b952f5e9822e93023d0978c81c3433e614d6"),
            address: "https://raw.githubusercontent.com/google-research-datasets/natural-questions/fb26a3073b1fe636c97302890a27b491d6530130/nq_open/NQ-open.efficientqa.dev.1.1.jsonl",
        },
        Published {
            rows: Some(87925),
            digest: None,
            address: "https://raw.githubusercontent.com/google-research-datasets/natural-questions/fb26a3073b1fe636c97302890a27b491d6530130/nq_open/NQ-open.train.jsonl",
        },
    ],
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
